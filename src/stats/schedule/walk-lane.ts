import { Queue, type Turn, type WalkedVolume } from './lane.js';
import { PauseDebt } from './pause-debt.js';

/**
 * While other volumes wait, a volume's first walk ends after so many milliseconds. A walk that is let in
 * beside another one comes so long after it.
 */
export const FIRST_LIMIT_MS = 1_000;

/** A walk that works little, because others use the processors, ends after so many times its limit. */
const MOST_STRETCH = 60;

/** How often a walk is looked at that is past its limit and has worked for less. */
const LOOK_MS = 250;

/** The process walks at most two trees at once: see `diskUsage`. */
const MOST_RUNNING = 2;

/**
 * How many short walks are out at most: two run, and the next are where the threads find them without the
 * event loop. On a busy machine a thread of low priority that had to wait for it would lose its turn on the
 * processor.
 */
const MOST_OUT = 32;

/**
 * How many milliseconds of work may be out at once in walks of short volumes: they owe a pause of a second.
 */
const MOST_EXPECTED_MS = 50;

interface WalkEntry {
  readonly turn: Turn;
  readonly volume: WalkedVolume;
}

/** A walk that was let in. */
interface Walk extends WalkEntry {
  readonly limitMs: number;
  readonly isUnread: boolean;
  /** When it was let in; when it began, once it has. */
  sinceMs: number;
  hasBegun: boolean;
}

/** How {@link WalkLane} differs from the lane of all walks. */
export interface WalkLaneOptions {
  /** How many may run at once. */
  readonly mostRunning?: number;
  /** Milliseconds after which a walk ends, whether others wait or not, in place of the volume's limit. */
  readonly limitMs?: number;
}

/**
 * Where walks wait for their turn. Three kinds of volumes share it:
 *
 * - _new_ ones go before all others, and are not held up by pauses;
 * - _short_ ones follow each other back to back, until the pauses that they owe add up to a second;
 * - _long_ ones, whose walks take more than a second or were stopped, run one at a time in a place of their
 *   own, so they hold up each other and no others.
 *
 * A walk that has reached its volume's limit is stopped as soon as another one waits for its place, and is
 * made again with twice the limit. If none waits, it goes on.
 */
export class WalkLane {
  readonly #debt: PauseDebt;
  readonly #mostRunning: number;
  readonly #fixedLimitMs: number | undefined;
  readonly #new = new Queue<WalkEntry>();
  readonly #short = new Queue<WalkEntry>();
  readonly #longUnread = new Queue<WalkEntry>();
  readonly #longRead = new Queue<WalkEntry>();
  /** New and short walks that are out, oldest first. The first ones run. */
  #flow: Walk[] = [];
  /** The long walk that is out. */
  #long: Walk | undefined;
  /** Whether the long walk let in last had no reading: the two take turns. */
  #wasUnread = false;
  #isDeep = false;
  #look: NodeJS.Timeout | undefined;
  #lookAtMs = Infinity;
  #isChoosing = false;

  /** @param share - of wall time, above 0 and at most 1 */
  constructor(share: number, { mostRunning = MOST_RUNNING, limitMs }: WalkLaneOptions = {}) {
    this.#debt = new PauseDebt(share, () => {
      this.#next();
    });
    this.#mostRunning = mostRunning;
    this.#fixedLimitMs = limitMs;
  }

  /** @returns takes it out of the queue, if it is still in there */
  enter(turn: Turn, volume: WalkedVolume): () => void {
    const leave = this.#queueOf(volume).push({ turn, volume });
    this.#next();
    return leave;
  }

  #queueOf({ isNew, isLong, isUnread }: WalkedVolume): Queue<WalkEntry> {
    if (isNew) return this.#new;
    if (!isLong || this.#fixedLimitMs !== undefined) return this.#short;
    return isUnread ? this.#longUnread : this.#longRead;
  }

  /** Lets in all that may begin, and stops those that others wait for. */
  #next(): void {
    if (this.#isChoosing) return;
    this.#isChoosing = true;
    while (this.#letIn() || this.#stopOne());
    this.#isChoosing = false;
  }

  #letIn(): boolean {
    const short = this.#nextShort();
    const entry = short ?? this.#nextLong();
    if (entry === undefined) return false;
    const walk = this.#walkOf(entry);
    if (short === undefined) this.#long = walk;
    else this.#flow.push(walk);
    this.#go(walk);
    return true;
  }

  #walkOf({ turn, volume }: WalkEntry): Walk {
    const { limitMs, isUnread } = volume;
    const sinceMs = performance.now();
    return { turn, volume, limitMs: this.#fixedLimitMs ?? limitMs, isUnread, sinceMs, hasBegun: false };
  }

  #go(walk: Walk): void {
    let hasPlace = true;
    const giveBack = (costMs?: number): void => {
      if (!hasPlace) return;
      hasPlace = false;
      this.#ended(walk, costMs);
    };
    walk.turn.go({ giveBack });
    this.#beginFirst();
  }

  #nextShort(): WalkEntry | undefined {
    if (!this.#hasRoom()) return undefined;
    const isNext = this.#new.shift();
    if (isNext !== undefined) return isNext;
    // Short walks never end where there are many of them. So one place stays for a long one that waits.
    const leavesRoom = this.#flow.length === 0 || this.#long !== undefined || !this.#longWaits;
    return !this.#debt.isPaying && leavesRoom ? this.#short.shift() : undefined;
  }

  /** Whether one more new or short walk may be out. */
  #hasRoom(): boolean {
    const newest = this.#flow.at(-1);
    if (newest === undefined) return true;
    if (this.#isDeep && this.#flow.length < MOST_OUT) {
      if (this.#new.size > 0) return true;
      if (this.#flow.reduce((sum, { volume }) => sum + volume.expectedMs, 0) < MOST_EXPECTED_MS) return true;
    }
    return this.#flow.length < this.#places && performance.now() - newest.sinceMs >= FIRST_LIMIT_MS;
  }

  #nextLong(): WalkEntry | undefined {
    if (this.#long !== undefined || this.#new.size > 0) return undefined;
    if (this.#flow.length >= this.#mostRunning) return undefined;
    const read = this.#debt.isPaying ? undefined : this.#longRead;
    const queues = this.#wasUnread ? [read, this.#longUnread] : [this.#longUnread, read];
    const queue = queues.find((each) => each !== undefined && each.size > 0);
    if (queue !== undefined) this.#wasUnread = queue === this.#longUnread;
    return queue?.shift();
  }

  /** How many new and short walks run at once. */
  get #places(): number {
    return Math.max(1, this.#mostRunning - (this.#long === undefined ? 0 : 1));
  }

  get #shortWaits(): boolean {
    return this.#new.size > 0 || (!this.#debt.isPaying && this.#short.size > 0);
  }

  get #longWaits(): boolean {
    return this.#longUnread.size > 0 || (!this.#debt.isPaying && this.#longRead.size > 0);
  }

  /** Stops a walk that has reached its limit and holds up others. */
  #stopOne(): boolean {
    const isFixed = this.#fixedLimitMs !== undefined;
    const longHeldUp = this.#longWaits && this.#long === undefined && this.#flow.length >= this.#mostRunning;
    const flowHolds = isFixed || this.#shortWaits || longHeldUp || this.#flow.length > this.#places;
    const long = this.#longWaits && this.#long !== undefined && isOver(this.#long) ? this.#long : undefined;
    const walk = (flowHolds ? this.#flow.find(isOver) : undefined) ?? long;
    walk?.turn.stop();
    return walk !== undefined;
  }

  /** The oldest walks run: their time counts. */
  #beginFirst(): void {
    const places = this.#places;
    for (let index = 0; index < places && index < this.#flow.length; index += 1)
      this.#begin(this.#flow[index]);
    this.#begin(this.#long);
  }

  #begin(walk: Walk | undefined): void {
    if (walk === undefined || walk.hasBegun) return;
    walk.hasBegun = true;
    walk.sinceMs = performance.now();
    walk.turn.begin();
    this.#lookIn(Math.min(walk.limitMs, FIRST_LIMIT_MS));
  }

  /** Looks at the walks that run after so many milliseconds, unless it does so before. */
  #lookIn(ms: number): void {
    const atMs = performance.now() + ms;
    if (this.#lookAtMs <= atMs) return;
    clearTimeout(this.#look);
    this.#lookAtMs = atMs;
    this.#look = setTimeout(() => {
      this.#lookAtMs = Infinity;
      this.#next();
      for (const walk of this.#flow) this.#lookAgain(walk);
      if (this.#long !== undefined) this.#lookAgain(this.#long);
    }, Math.ceil(ms)).unref();
  }

  #lookAgain(walk: Walk): void {
    if (!walk.hasBegun) return;
    const ageMs = performance.now() - walk.sinceMs;
    if (ageMs < FIRST_LIMIT_MS) this.#lookIn(FIRST_LIMIT_MS - ageMs);
    if (ageMs < walk.limitMs) this.#lookIn(walk.limitMs - ageMs);
    else if (!isOver(walk)) this.#lookIn(LOOK_MS);
  }

  #ended(walk: Walk, costMs: number | undefined): void {
    if (this.#long === walk) this.#long = undefined;
    else this.#flow.splice(this.#flow.indexOf(walk), 1);
    this.#isDeep = walk.volume.notesWork ?? this.#isDeep;
    // First readings come before pauses and owe none: their volumes pay, see WalkPace. Otherwise volumes that
    // take long to be read would slow down all others.
    if (!walk.isUnread) this.#debt.owe(costMs ?? performance.now() - walk.sinceMs);
    this.#beginFirst();
    this.#next();
  }
}

/** Whether a walk has reached its limit. */
function isOver({ turn, sinceMs, hasBegun, limitMs }: Walk): boolean {
  if (!hasBegun || performance.now() - sinceMs < limitMs) return false;
  const ageMs = performance.now() - sinceMs;
  return ageMs >= limitMs * MOST_STRETCH || (turn.workMs() ?? ageMs) >= limitMs;
}
