// Results of SQL: what a cell shows, files to save, and which columns make a chart.

import type { Column } from "../api_types";

export function showCell(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return JSON.stringify(value);
}

export function isNumeric(type: string): boolean {
  return /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|UINTEGER|DOUBLE|FLOAT|REAL|DECIMAL.*)$/i.test(type);
}

export function isInstant(type: string): boolean {
  return /^(TIMESTAMP.*|DATE)$/i.test(type);
}

/** Write RFC 4180 CSV. A text that a spreadsheet would take for a formula gets an apostrophe in front. */
export function writeCsv(columns: readonly Column[], rows: readonly unknown[][]): string {
  const field = (value: unknown): string => {
    let text = showCell(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map((column) => column.name), ...rows].map((row) => row.map(field).join(",")).join("\r\n");
}

export function writeJson(columns: readonly Column[], rows: readonly unknown[][]): string {
  const objects = rows.map((row) => Object.fromEntries(columns.map((column, index) => [column.name, row[index]])));
  return JSON.stringify(objects, null, 2);
}

export interface ChartChoice {
  x: number;
  y: number[];
  kind: "bar" | "line" | "scatter";
}

/** Choose what to draw: an instant or a text across, every number up. Null where there is no number. */
export function chooseChart(columns: readonly Column[]): ChartChoice | null {
  const numbers = columns.flatMap((column, index) => (isNumeric(column.type) ? [index] : []));
  const instant = columns.findIndex((column) => isInstant(column.type));
  const text = columns.findIndex((column) => !isNumeric(column.type));
  if (numbers.length === 0) return null;
  if (instant >= 0) return { x: instant, y: numbers, kind: "line" };
  if (text >= 0) return { x: text, y: numbers, kind: "bar" };
  return numbers.length >= 2 ? { x: numbers[0]!, y: numbers.slice(1), kind: "scatter" } : null;
}
