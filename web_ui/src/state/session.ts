// The session: a launch code in the URL's fragment is exchanged for the cookie, once, before anything is asked.

import { call, Failure } from "../api";

/** Exchange the code, if the URL has one, and take it out of the URL. Gives why it was refused, if it was. */
export async function takeLaunchCode(): Promise<Failure | null> {
  const code = /^#code=([\w-]+)$/.exec(location.hash)?.[1];
  if (!code) return null;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    await call("POST /api/session", { body: { code } });
    return null;
  } catch (error) {
    return Failure.from(error);
  }
}
