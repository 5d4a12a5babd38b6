const SLACK = 3;

/** Collects figures, lays them out as a table, and knows which goals are missed by more than their slack. */
export class Report {
  /** One line for each missed goal. */
  failures = [];
  #rows = [];

  /**
   * A figure. Smaller is better.
   *
   * @param {{ what: string, value: number, unit: string, goal?: number, slack?: number }} figure without a goal it is told for
   * comparison only; `slack` is by how many times a check lets the goal be missed
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
      this.failures.push(
        `${what}: ${digits(value)} ${unit}, allowed ${digits(goal * slack)} (goal ${digits(goal)})`,
      );
    }
  }

  /** Something that cannot be measured here; a failure where KVM_NO_SKIP says that everything can. */
  skipped(what, reason) {
    this.#rows.push([what, 'skipped', reason]);
    if (process.env.KVM_NO_SKIP === '1') this.failures.push(`${what}: skipped, ${reason}`);
  }

  /** The table of the figures since the last one. */
  endSection() {
    const rows = this.#rows.splice(0);
    const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)));
    return rows
      .map(([what, value, goal, verdict = '']) =>
        `  ${what.padEnd(widths[0])}  ${value.padStart(widths[1])}  ${goal.padEnd(widths[2])}  ${verdict}`.trimEnd(),
      )
      .join('\n');
  }
}

/** Three significant digits, and no exponent. */
function digits(value) {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
