/** The console: what is in the database, moving. */
import { render } from "preact";
import { Frame } from "./app/frame.tsx";
import "./styles/tokens.css";
import "./styles/base.css";
import "./components/components.css";
import "./app/frame.css";

render(<Frame />, document.getElementById("app")!);
