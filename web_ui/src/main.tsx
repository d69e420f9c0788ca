import { render } from "preact";

render(<main>wf</main>, document.getElementById("root")!);
