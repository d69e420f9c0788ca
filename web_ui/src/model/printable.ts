// Text that users wrote, made fit to be shown: what turns a line around, hides in it or is nothing at all is written as
// its escape. A name with a right-to-left override must not read as another name. Joiners stay: scripts and emoji need them.

const HIDDEN = /[\p{Cc}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;
const LAYOUT = "\t\n\r";

export function printable(text: string): string {
  return text.replace(HIDDEN, (letter) =>
    LAYOUT.includes(letter) ? letter : `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
