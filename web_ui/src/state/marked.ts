// Runs that were marked for comparing with `x`: two at most, the older mark gives way.

import { keptSignal } from "./kept";
import { toast } from "./toasts";

export const marked = keptSignal<readonly string[]>("marked", []);

export function toggleMark(runId: string): void {
  if (marked.value.includes(runId)) {
    marked.value = marked.value.filter((one) => one !== runId);
    return;
  }
  marked.value = [...marked.value, runId].slice(-2);
  if (marked.value.length === 2) {
    const [one, other] = marked.value as [string, string];
    const href = `/studio/compare?one=${encodeURIComponent(one)}&other=${encodeURIComponent(other)}`;
    toast("info", "two runs are marked", { link: { href, label: "Compare them" } });
  } else {
    toast("info", "marked for comparing: mark another run, too");
  }
}
