/**
 * Texts on the canvas: widths are measured once each, and what is too wide ends in an ellipsis.
 *
 * Fonts are set by `setFont` only. It knows which widths hold; asking a context for its font makes it write one.
 */

const LARGEST = 5000;

interface Known {
  readonly widths: Map<string, number>;
  readonly fitted: Map<string, string>;
}

const fonts = new Map<string, Known>();
let known: Known = { widths: new Map(), fitted: new Map() };

/** Set the font of the texts that follow. To be called again after `restore`. */
export function setFont(on: CanvasRenderingContext2D, font: string): void {
  on.font = font;
  let found = fonts.get(font);
  if (found === undefined) {
    found = { widths: new Map(), fitted: new Map() };
    fonts.set(font, found);
  }
  known = found;
}

export function textWidth(on: CanvasRenderingContext2D, text: string): number {
  const { widths } = known;
  let width = widths.get(text);
  if (width === undefined) {
    if (widths.size > LARGEST) widths.clear();
    width = on.measureText(text).width;
    widths.set(text, width);
  }
  return width;
}

/** Cut a text to a width. Empty where not even one letter and the ellipsis fit. */
export function fitText(on: CanvasRenderingContext2D, text: string, widthPx: number): string {
  const full = textWidth(on, text);
  if (full <= widthPx) return text;
  const { fitted } = known;
  const key = `${Math.floor(widthPx)} ${text}`;
  let cut = fitted.get(key);
  if (cut === undefined) {
    if (fitted.size > LARGEST) fitted.clear();
    let length = Math.max(0, Math.floor((text.length * widthPx) / full));
    while (length > 0 && on.measureText(`${text.slice(0, length)}…`).width > widthPx) length--;
    if (isWithinCharacter(text, length)) length--;
    cut = length > 0 ? `${text.slice(0, length)}…` : "";
    fitted.set(key, cut);
  }
  return cut;
}

/** Half of a character that takes two places would be drawn as a box. */
function isWithinCharacter(text: string, at: number): boolean {
  return at > 0 && at < text.length && text.codePointAt(at - 1)! > 0xffff;
}
