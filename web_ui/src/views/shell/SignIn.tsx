// Without a session: what to do to get one. The server runs the user's code, so it answers its owner only.

import type { Failure } from "../../api";
import { Command } from "../parts/small";

export function SignIn({ refused }: { refused: Failure | null }) {
  return (
    <main class="sign-in">
      <h1>This browser has no session</h1>
      {refused && (
        <p class="note note-bad" role="alert">
          {refused.message}
        </p>
      )}
      <p>The studio runs your code, so it opens only for who started it. Open it by a link that is good once:</p>
      <ul>
        <li>
          press <kbd>o</kbd> in the terminal where <code>wf dev</code> runs, or <kbd>u</kbd> to have the link printed
        </li>
        <li>
          or, wherever the server runs: <Command text="wf link" />
        </li>
      </ul>
      <p class="dim">This page goes on by itself as soon as the link was opened in another tab.</p>
    </main>
  );
}
