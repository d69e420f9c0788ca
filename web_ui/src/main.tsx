// The studio's page: the session first, then everything that follows the server.

import { render } from "preact";
import { startClock } from "./state/clock";
import { followDev } from "./state/dev";
import { followKeys } from "./state/keyboard";
import { startLive } from "./state/live";
import { followHistory } from "./state/router";
import { takeLaunchCode } from "./state/session";
import { followTheme } from "./state/theme";
import { Shell } from "./views/shell/Shell";

followTheme();
const refused = await takeLaunchCode();
followHistory();
followKeys();
startClock();
startLive();
followDev();
render(<Shell refused={refused} />, document.getElementById("root")!);
