// Views that are loaded when they are first shown.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Failure } from "../../api";
import { FailureNote, Loading } from "./small";

export function lazyView<P extends object>(what: string, load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let found: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [failure, setFailure] = useState<Failure | null>(null);
    const [turn, setTurn] = useState(0);
    useEffect(() => {
      let isHere = true;
      if (found) return;
      setFailure(null);
      load().then(
        (component) => {
          found = component;
          if (isHere) redraw(1);
        },
        () => {
          const text = `the part of the studio that shows ${what} could not be loaded`;
          if (isHere) setFailure(new Failure("server-gone", text, null, null, 0));
        },
      );
      return () => {
        isHere = false;
      };
    }, [turn]);
    if (failure) return <FailureNote failure={failure} again={() => setTurn(turn + 1)} />;
    if (!found) return <Loading what={what} />;
    const Found = found;
    return <Found {...props} />;
  };
}
