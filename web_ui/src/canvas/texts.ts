/** Texts on the canvas: widths are measured once each, and what is too wide ends in an ellipsis. */

const LARGEST = 5000;
const widths = new Map<string, number>();
const fitted = new Map<string, string>();

export function textWidth(on: CanvasRenderingContext2D, text: string): number {
  const key = `${on.font}\n${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    if (widths.size > LARGEST) widths.clear();
    width = on.measureText(text).width;
    widths.set(key, width);
  }
  return width;
}

/** Cut a text to a width. Empty where not even one letter and the ellipsis fit. */
export function fitText(on: CanvasRenderingContext2D, text: string, widthPx: number): string {
  const full = textWidth(on, text);
  if (full <= widthPx) return text;
  const key = `${on.font}\n${Math.floor(widthPx)}\n${text}`;
  let cut = fitted.get(key);
  if (cut === undefined) {
    if (fitted.size > LARGEST) fitted.clear();
    let length = Math.floor((text.length * widthPx) / full);
    while (length > 0 && on.measureText(`${text.slice(0, length)}…`).width > widthPx) length--;
    cut = length > 0 ? `${text.slice(0, length)}…` : "";
    fitted.set(key, cut);
  }
  return cut;
}
