/** CSS colours as numbers, for pictures that are made of pixels. */

export type Rgb = readonly [red: number, green: number, blue: number];

const known = new Map<string, Rgb>();
let reader: CanvasRenderingContext2D | null = null;

/** Read any CSS colour: the canvas itself is who understands them all. */
export function readColour(colour: string): Rgb {
  let found = known.get(colour);
  if (found === undefined) {
    reader ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    if (reader === null) return [128, 128, 128];
    reader.clearRect(0, 0, 1, 1);
    reader.fillStyle = colour;
    reader.fillRect(0, 0, 1, 1);
    const [red, green, blue] = reader.getImageData(0, 0, 1, 1).data;
    found = [red!, green!, blue!];
    known.set(colour, found);
  }
  return found;
}

/** A pixel as `ImageData` has it in memory, written as one number. All machines that run browsers are little-endian. */
export function packColour([red, green, blue]: Rgb, alpha: number): number {
  return ((Math.round(alpha * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
