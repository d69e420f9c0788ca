// An action that is not begun again while it goes on: by a second click, a key that is held, the palette.

import { useRef, useState } from "preact/hooks";

export function useAlone<A extends unknown[]>(
  act: (...given: A) => Promise<unknown>,
): [run: (...given: A) => void, isBusy: boolean] {
  const isRunning = useRef(false);
  const [isBusy, setBusy] = useState(false);
  const run = (...given: A) => {
    if (isRunning.current) return;
    isRunning.current = true;
    setBusy(true);
    void act(...given).finally(() => {
      isRunning.current = false;
      setBusy(false);
    });
  };
  return [run, isBusy];
}
