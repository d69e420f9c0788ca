import { describe, expect, test } from "vitest";

import type { ParameterView } from "../api_types";
import { placeArguments } from "./arguments";

const parameter = (name: string, kind: string): ParameterView => ({
  name,
  kind,
  is_required: false,
  schema: {},
  default: null,
});
const parameters = [
  parameter("first", "positional"),
  parameter("second", "positional"),
  parameter("rest", "args"),
  parameter("scale", "keyword"),
];

describe("arguments", () => {
  test("without values behind them all go by name", () => {
    expect(placeArguments(parameters, { first: 1, scale: 2 })).toEqual({
      args: [],
      named: { first: 1, scale: 2 },
      missing: null,
    });
    expect(placeArguments(parameters, { first: 1, rest: [], scale: 2 }).named).toEqual({ first: 1, scale: 2 });
  });

  test("where *args are given, all before them go by place, in their order", () => {
    expect(placeArguments(parameters, { scale: 2, second: null, rest: ["x", "y"], first: 1 })).toEqual({
      args: [1, null, "x", "y"],
      named: { scale: 2 },
      missing: null,
    });
  });

  test("one that is left out before them is named", () => {
    expect(placeArguments(parameters, { second: 2, rest: [3] }).missing).toBe("first");
  });
});
