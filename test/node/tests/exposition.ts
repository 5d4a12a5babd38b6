/** Prometheus' text format, as far as kubelets and registries write it. */

export interface Family {
  readonly help: string | undefined;
  readonly type: string | undefined;
  /** Values by `name{label="value",...}`, with the labels in the order of the alphabet. */
  readonly samples: ReadonlyMap<string, number>;
}

const LINE = /^(?:# (HELP|TYPE) (\S+) ?(.*)|([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g;

/** @throws Error for a line that is not in this format */
export function familiesIn(text: string): ReadonlyMap<string, Family> {
  const families = new Map<string, { help?: string; type?: string; samples: Map<string, number> }>();
  let current: string | undefined;
  const family = (name: string): { help?: string; type?: string; samples: Map<string, number> } => {
    let known = families.get(name);
    if (known === undefined) families.set(name, (known = { samples: new Map() }));
    return known;
  };
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# EOF')) continue;
    const match = LINE.exec(line);
    if (match === null) throw new Error(`no line of the text format: ${line}`);
    const [, keyword, about, rest = '', name = '', labels = '', value = ''] = match;
    if (about !== undefined) {
      current = about;
      if (keyword === 'HELP') family(about).help = rest;
      else family(about).type = rest;
      continue;
    }
    // A histogram's lines have names of their own.
    const owner = current !== undefined && isOf(name, current) ? current : name;
    const sorted = Array.from(labels.matchAll(LABEL), ([, label, text]) => `${label}="${text}"`).sort();
    const series = `${name}${sorted.length > 0 ? `{${sorted.join(',')}}` : ''}`;
    family(owner).samples.set(series, Number(value.replace('+Inf', 'Infinity')));
  }
  return new Map(Array.from(families, ([name, { help, type, samples }]) => [name, { help, type, samples }]));
}

function isOf(name: string, family: string): boolean {
  return name === family || ['_bucket', '_sum', '_count'].some((end) => name === family + end);
}
