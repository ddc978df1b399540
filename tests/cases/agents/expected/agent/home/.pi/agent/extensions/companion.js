// Tells the desktop in one word whether the agent works, waits for its user or is done.
import { spawnSync } from "node:child_process";

const WORDS = {"agent_start": "busy", "ui_prompt_start": "waiting", "ui_prompt_end": "busy", "agent_settled": "done", "session_shutdown": "ended"};

export default function (pi) {
  for (const [event, word] of Object.entries(WORDS)) {
    pi.on(event, () => {
      spawnSync("/usr/local/lib/companion/attention", [word], { stdio: "ignore", timeout: 1000 });
    });
  }
}
