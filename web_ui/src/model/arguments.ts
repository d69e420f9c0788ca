// What goes by place and what goes by name, of arguments that a form read: `*args` go by place, and all before them.

import type { ParameterView } from "../api_types";
import type { Json } from "./schema_forms";

export interface Arguments {
  args: Json[];
  named: Record<string, Json>;
  /** The parameter that is left out although `*args` stand behind it: Python has no way to say that. */
  missing: string | null;
}

export function placeArguments(parameters: readonly ParameterView[], given: Record<string, Json>): Arguments {
  const rest = parameters.find((one) => one.kind === "args")?.name;
  const values = rest === undefined ? undefined : given[rest];
  if (rest === undefined || !Array.isArray(values)) return { args: [], named: given, missing: null };
  const named = { ...given };
  delete named[rest];
  if (values.length === 0) return { args: [], named, missing: null };
  const args: Json[] = [];
  let missing: string | null = null;
  for (const { kind, name } of parameters) {
    if (kind !== "positional") continue;
    const value = named[name];
    if (value === undefined) missing ??= name;
    else args.push(value);
    delete named[name];
  }
  return { args: [...args, ...values], named, missing };
}
