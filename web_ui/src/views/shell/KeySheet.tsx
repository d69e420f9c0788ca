// All keys that do something now, by what they belong to.

import { listBindings } from "../../state/keyboard";
import { Dialog } from "../parts/Dialog";
import { Button, Key } from "../parts/small";

export function KeySheet({ onClose }: { onClose: () => void }) {
  const groups = new Map<string, ReturnType<typeof listBindings>>();
  for (const binding of listBindings()) {
    if (binding.keys === "") continue;
    const group = groups.get(binding.group) ?? [];
    if (!group.some((one) => one.keys === binding.keys)) groups.set(binding.group, [...group, binding]);
  }
  return (
    <Dialog label="keys" onClose={onClose} isWide>
      <h2>Keys</h2>
      <div class="key-sheet">
        {[...groups].map(([group, bindings]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {bindings.map((binding) => (
                <div key={binding.keys}>
                  <dt>
                    <Key>{binding.keys}</Key>
                  </dt>
                  <dd>{binding.label}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <div class="dialog-actions">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}
