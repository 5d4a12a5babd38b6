/** One column of a table. */
export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

const GAP = '  ';

/** Lines of cells under their titles, each column as wide as its widest cell; nothing is cut, and no line ends in spaces. */
export function table(columns: readonly Column[], lines: readonly (readonly string[])[]): string {
  const all = [columns.map(({ title }) => title), ...lines];
  const widths = columns.map((_, at) =>
    all.reduce((most, cells) => Math.max(most, width(cells[at] ?? '')), 0),
  );
  return all
    .map((cells) => {
      const padded = columns.map(({ align }, at) => {
        const cell = cells[at] ?? '';
        const pad = ' '.repeat((widths[at] ?? 0) - width(cell));
        return align === 'left' ? cell + pad : pad + cell;
      });
      return `${padded.join(GAP).trimEnd()}\n`;
    })
    .join('');
}

const TWO_WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const NO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** Columns that most terminals give to a text without control characters: East Asian Width, nearly. */
function width(text: string): number {
  let columns = 0;
  for (const character of text) columns += NO_WIDTH.test(character) ? 0 : TWO_WIDE.test(character) ? 2 : 1;
  return columns;
}
