const SLACK = 3;

/**
 * Collects the figures of a section, lays them out as a table, and knows which miss their goal by more than
 * their slack.
 */
export class Report {
  /** The figures that miss their goal: what was measured, and a line that says so. */
  missed = new Map();
  /** A line for each thing that could not be measured where everything can be. */
  notMeasured = [];
  #rows = [];

  /**
   * A figure. Smaller is better.
   *
   * @param {{ what: string, value: number, unit: string, goal?: number, slack?: number }} figure without a
   * goal it is told for comparison only; `slack` is by how many times a check lets the goal be missed
   */
  figure({ what, value, unit, goal, slack = SLACK }) {
    const isMissed = goal !== undefined && !(value <= goal);
    this.#rows.push([
      what,
      `${digits(value)} ${unit}`,
      goal === undefined ? '' : `goal ${digits(goal)} ${unit}`,
      isMissed ? 'missed' : '',
    ]);
    if (goal !== undefined && !(value <= goal * slack)) {
      this.missed.set(
        what,
        `${what}: ${digits(value)} ${unit}, allowed ${digits(goal * slack)} (goal ${digits(goal)})`,
      );
    }
  }

  /** Something that cannot be measured here; a failure where KVM_NO_SKIP says that everything can. */
  skipped(what, reason) {
    this.#rows.push([what, 'skipped', reason]);
    if (process.env.KVM_NO_SKIP === '1') this.notMeasured.push(`${what}: skipped, ${reason}`);
  }

  /** All figures, one a line. */
  table() {
    const rows = this.#rows;
    const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)));
    return rows
      .map(([what, value, goal, verdict = '']) =>
        `  ${what.padEnd(widths[0])}  ${value.padStart(widths[1])}  ${goal.padEnd(widths[2])}  ${verdict}`.trimEnd(),
      )
      .join('\n');
  }
}

/**
 * Measures a section and prints its figures. As long as figures miss their goal, measures it again: what else
 * the machine does comes and goes, a slower program stays. A figure that meets its goal once has met it.
 *
 * @param {(report: Report) => Promise<void>} run measures everything
 * @param {number} repeats how many times it may be measured again
 * @param {(text: string) => void} print
 * @returns {Promise<string[]>} a line for each figure that missed its goal every time, and for what could not
 * be measured
 */
export async function measureSection(run, repeats, print) {
  let missed;
  for (let turn = 0; ; turn++) {
    const report = new Report();
    await run(report);
    print(report.table());
    missed = new Map([...report.missed].filter(([what]) => missed === undefined || missed.has(what)));
    if (missed.size === 0 || turn === repeats) return [...missed.values(), ...report.notMeasured];
    print(`\nmeasured again, because these missed their goal: ${[...missed.keys()].join('; ')}`);
  }
}

/** Three significant digits, and no exponent. */
function digits(value) {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
