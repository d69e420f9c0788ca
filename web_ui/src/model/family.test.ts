import { describe, expect, it } from "vitest";
import { type Bond, layOutFamily, type Member, readMembers, sayFamily } from "./family";

function member(id: string, above: string | null = null, bond: Bond | null = above ? "child" : null): Member {
  return { id, workflow: "shop:order", status: "completed", durationMs: 1, above, bond };
}

function drawn(members: Member[]): string[] {
  return layOutFamily(members).map(({ id, depth }) => `${" ".repeat(depth)}${id}`);
}

describe("a family of runs", () => {
  it("is laid out as a tree, each run below the one it comes from", () => {
    const family = [member("a"), member("b", "a"), member("c", "a"), member("d", "b", "fork"), member("e", "c")];
    expect(drawn(family)).toEqual(["a", " b", "  d", " c", "  e"]);
  });

  it("begins with whatever has nobody above it: what it came from was forgotten", () => {
    expect(drawn([member("b", "gone"), member("c", "b")])).toEqual(["b", " c"]);
    expect(drawn([member("a", "a")])).toEqual(["a"]);
    expect(drawn([])).toEqual([]);
  });

  it("is read from the rows of its query, and said in words", () => {
    const { members, total } = readMembers([
      ["a", "shop:order", "running", null, null, null, 7],
      ["b", "shop:pay", "failed", 12.5, "a", "child", 7],
      ["c", "shop:order", "completed", 1, "a", "fork", 7],
    ]);
    expect(members[1]).toEqual({ ...member("b", "a"), workflow: "shop:pay", status: "failed", durationMs: 12.5 });
    expect(sayFamily(members, total)).toBe("1 child, 1 fork or retry, 4 more");
    expect(sayFamily([member("a")], 1)).toBe("");
    expect(readMembers([])).toEqual({ members: [], total: 0 });
  });
});
