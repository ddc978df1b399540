"""The catalogue of commands: one table that parsing, help and completion read."""

from typing import TYPE_CHECKING

from companion.cli.command import COMPOSE_REST, PROGRAM_REST, REST, Argument, Command, Group

if TYPE_CHECKING:
    from pathlib import Path


def _argument(*names: str, **options: object) -> Argument:
    return Argument(names, options)


def _path(text: str) -> "Path":
    from pathlib import Path  # noqa: PLC0415 - start-up time is a budget

    return Path(text)


VERSION = _argument("-V", "--version", action="store_true", help="print the version")
DIRECTORY = _argument("-C", "--dir", type=_path, dest="directory_option", metavar="DIR",
                      help="the project's directory (default: the current one)")  # fmt: skip
JSON = _argument("--json", action="store_true", dest="as_json", help="answer in JSON")
HELP = _argument("-h", "--help", action="store_true", help="show this help")
COMMON = (DIRECTORY, JSON, HELP)
"""Options that every command takes, before its name and after it."""
_AGENT = _argument("agent", nargs="?", metavar="AGENT",
                   help="the agent's name (default: the only one)")  # fmt: skip
_HOST = _argument("host", metavar="HOST", help="a host name; *.NAME is all names below it")
_AGENTS = _argument("agents", nargs="*", metavar="AGENT", help="only these agents")
_ALL = _argument("--all", action="store_true", help="all projects")
_DIRECTORY = _argument("directory", nargs="?", metavar="DIR", type=_path,
                       help="the project's directory (default: -C)")  # fmt: skip
_YES = _argument("--yes", action="store_true", help="answer yes to every question")
_VERBOSE = _argument("-v", "--verbose", action="store_true",
                     help="show all that builds and downloads print")  # fmt: skip
_ON = _argument("--on", metavar="PLACE",
                help="the engine: docker, podman, or a place of your settings.yaml")  # fmt: skip
_PURGE = _argument(
    "--volumes",
    action="store_true",
    help="also its home and volumes, and copies of directories elsewhere",
)


PLACES = _argument("places", nargs="*", metavar="SRC DST",
                   help="one of them is AGENT:PATH; its PATH begins at the workdir")  # fmt: skip
PORTS = _argument("words", nargs="*", metavar="[AGENT] [PORT[:INSIDE]]",
                  help="a port of 127.0.0.1 on the desktop, and the port inside if it differs"
                  )  # fmt: skip


def _action(*choices: str) -> Argument:
    return _argument("action", choices=choices, metavar="ACTION", help=", ".join(choices))


GROUPS = (
    Group("Configure a project", (
        Command("init", "create an agent.yaml to start from", "project:init", (
            _argument("directory", nargs="?", metavar="DIR", type=_path,
                      help="where to create it (default: -C)"),
            _argument("--example", metavar="NAME", help="copy one of the examples instead"),
            _argument("--name", help="the agent's name"),
            _argument("--runtime", help="the agent program; `companion plugins` lists them"),
        ), ("init coder --runtime claude-code", "init team --example multi-agent"), ("new",)),
        Command("validate", "check agent.yaml and the files it names", "project:validate", (),
                ("validate", "-C ~/src/coder validate --json"), ("check",)),
        Command("generate", "write .build/ without starting anything", "project:generate", (
            _argument("--kubernetes", metavar="NAMESPACE",
                      help="also write the objects for a namespace of a cluster, to be applied by "
                           "kubectl"),
            _argument("--registry", metavar="PREFIX",
                      help="where the cluster pulls images, such as registry.example.com/team"),
            _argument("--gateway-address", metavar="[AGENT=]IP", action="append", default=[],
                      help="a free address of the cluster's service range, for the gateway"),
            _argument("--policy-only", action="store_true",
                      help="close networks by NetworkPolicies alone, without any capability"),
            _argument("--node-seccomp", action="store_true",
                      help="limit system calls by Companion's own list, which nodes must have"),
        ), (
            "generate",
            "generate --kubernetes agents --registry ghcr.io/me",
        ), ("build",)),
        Command("plan", "show what `up` would do, and why", "project:plan", (
            _argument("--check", action="store_true", help="exit with 4 if anything differs"),
            _ON,
        ), ("plan", "plan --check", "plan --on build"), ("diff",)),
        Command("trust", "show what a project opens, and agree to it", "trust:trust", (
            _argument("words", nargs="*", metavar="[list|show|revoke] [DIR]",
                      help="list agreements; show what a project opens; revoke its agreement"),
            _argument("--digest", metavar="D",
                      help="agree without a question if this is the digest of what it opens now"),
        ), ("trust", "trust show ~/src/coder", "trust revoke"), ("review", "agree")),
        Command("plugins", "list runtimes and features", "project:plugins"),
        Command("schema", "print the JSON Schema of agent.yaml", "project:schema", (
            _argument("--fleet", action="store_true",
                      help="print the schema of fleet.yaml instead"),
            _argument("--write", action="store_true",
                      help="write it to .build/, and point the files' editors to it"),
        ), ("schema --write",)),
    )),
    Group("Run sandboxes", (
        Command("run", "start an agent on a git repository, and attach a terminal", "run:run", (
            _argument("words", nargs="*", metavar="[claude|codex|pi|opencode|gemini] [DIR]",
                      help="the agent program, one of the runtimes of `companion plugins` "
                           "(default: the only one with a credential); "
                           "the repository (default: -C)"),
            _argument("--name", metavar="N", help="the sandbox's name (default: the directory's)"),
            _argument("--branch", metavar="B",
                      help="work on a branch, in a git worktree beside the repository"),
            _argument("--yes", action="store_true",
                      help="answer yes to every question, but end no agent's terminal"),
            _ON,
            _VERBOSE,
            PROGRAM_REST,
        ), ("run codex", "run claude --branch fix-login", "run codex ~/code/app -- --search"),
                ("begin", "attach")),
        Command("up", "start sandboxes, or bring them up to date", "lifecycle:up",
                (_AGENTS, _ON, _YES, _VERBOSE),
                ("up", "up coder reviewer", "up --on build"), ("apply",), ("start",)),
        Command("down", "stop and remove sandboxes", "lifecycle:down", (
            _AGENTS, _PURGE,
            _argument("--abandon", action="store_true",
                      help="forget containers on an unreachable engine"),
        ), ("down", "down coder --volumes"), ("kill",), ("stop",)),
        Command("restart", "replace the containers of sandboxes", "lifecycle:restart",
                (_AGENTS, _YES, _VERBOSE), ("restart coder",)),
        Command("upgrade", "upgrade agents' programs to their newest versions", "upgrade:upgrade", (
            _AGENTS, _YES, _VERBOSE,
            _argument("--check", action="store_true", help="exit with 4 if there are newer ones"),
            _argument("--to", metavar="VERSION", help="this version instead of the newest one"),
        ), ("upgrade", "upgrade coder --to 0.171.0", "upgrade --check"), ("update",)),
        Command("status", "show the state of a project's sandboxes", "status:status", (),
                ("status", "status --json"), ("state",), ("ps",)),
        Command("logs", "show the logs of a sandbox's containers, merged", "logs:logs", (
            _AGENT, _argument("-f", "--follow", action="store_true", help="follow the log"),
            _argument("-v", "--verbose", action="store_true",
                      help="include routine logins and connections; lines as they were written"),
            _argument("--since", metavar="TIME",
                      help="only lines since then: 10m, 2h, 14:30, 2026-11-26"),
            _argument("--tail", metavar="N", type=int, help="only the last N lines"),
            _argument("--egress", action="store_true",
                      help="only what the gateway let through or refused"),
            _argument("--build", action="store_true",
                      help="show the last build of its image instead"),
        ), ("logs", "logs coder --follow --since 10m", "logs --build"), ("log",)),
        Command("network", "show which hosts an agent used, and which were refused",
                "network:network", (
            _AGENT, _argument("-f", "--follow", action="store_true",
                              help="show each connection as it ends"),
        ), ("network coder", "network coder --follow"), ("traffic", "egress", "net")),
        Command("allow", "let an agent reach a host: always, or once", "network:allow", (
            _AGENT, _HOST,
            _argument("--once", action="store_true",
                      help="until the sandbox is taken down; agent.yaml is unchanged"),
            _argument("--fleet", action="store_true",
                      help="add it to the list that all agents of the fleet share"),
        ), ("allow astral.sh", "allow coder '*.example.org' --once"), ("permit", "unblock")),
        Command("deny", "take back what `allow` gave", "network:deny", (_AGENT, _HOST),
                ("deny astral.sh",), ("block", "refuse")),
        Command("exec", "run a command in a sandbox through the engine", "sandbox:execute",
                (_AGENT, REST), ("exec -- git status", "exec coder"), ()),
        Command("ssh", "log in to a sandbox, or run a command there", "sandbox:ssh",
                (_AGENT, REST), ("ssh", "ssh coder -- uname -a"), ("shell",)),
        Command("compose", "show sandboxes through compose: ps, logs, images",
                "sandbox:compose", (COMPOSE_REST,), ("compose ps",)),
    )),
    Group("Connect", (
        Command("open", "open the agent's folder in an editor", "editing:open_in_editor", (
            _AGENT, _YES,
            _argument("--in", metavar="EDITOR", dest="editor",
                      help="which editor; `companion editors list` lists them"),
            _argument("--path", metavar="PATH",
                      help="a folder in the sandbox (default: the agent's workdir)"),
            _argument("--print", action="store_true", dest="print_only",
                      help="print the command, start nothing"),
        ), ("open", "open coder --in zed"), ("code",)),
        Command("edit", "open an agent.yaml in your editor", "editing:edit", (_AGENT,),
                ("edit", "edit app"), ("config",)),
        Command("cp", "copy files and directories into a sandbox, or out of it", "copy:copy", (
            PLACES,
            _argument("-r", action="store_true",
                      help="accepted, as in `cp`; directories are always copied whole"),
            _argument("--clipboard", action="store_true",
                      help="copy the clipboard's image into AGENT, without SRC and DST"),
        ), ("cp shot.png coder:", "cp coder:report.html .", "cp --clipboard coder"),
                ("copy", "scp", "push", "pull")),
        Command("port", "forward a port of the desktop to a server in a sandbox", "port:port", (
            PORTS,
            _argument("--background", action="store_true", help="return once it is forwarded"),
            _argument("--open", action="store_true", help="open it in the browser"),
            _argument("--stop", action="store_true", help="end it; without a port, all of AGENT"),
        ), ("port coder 3000", "port coder 8080:3000 --background", "port coder --stop"),
                ("forward", "ports", "tunnel")),
        Command("editors", "list editors; write or remove our entries in their settings",
                "editing:editors", (
            _action("list", "sync", "remove"),
            _argument("editor", nargs="?", metavar="EDITOR", help="only this one"),
        ), ("editors list", "editors sync vscode")),
        Command("keys", "manage login keys; print the key that signs commits", "keys:keys", (
            _action("list", "add", "remove", "rotate", "signing"),
            _AGENT,
            _argument("key", nargs="?", metavar="KEY",
                      help="a public key, its file, or its fingerprint"),
            _argument("--host", action="store_true", help="rotate only the agent's host key"),
            _argument("--client", action="store_true", help="rotate only our key for logging in"),
        ), ("keys add coder ~/.ssh/id_ed25519.pub", "keys rotate coder",
           "keys signing coder")),
        Command("login", "give an agent the credential for its model, and test it", "login:login", (
            _AGENT,
            _argument("--mode", metavar="MODE",
                      help="which way to log in; without it, you are asked"),
            _argument("--check", action="store_true",
                      help="only test the credential that it has"),
            _argument("--untested", action="store_true",
                      help="store it without asking the vendor whether it is valid"),
            _argument("--restart", action="store_true",
                      help="a first credential may restart an agent that runs"),
            _argument("--print", action="store_true", dest="print_only",
                      help="for an account: print the address, open no browser"),
            _argument("--port", type=int, default=0, metavar="N",
                      help="for an account: port of http://127.0.0.1:N that the browser returns to "
                           "(default: any)"),
            _argument("--new", action="store_true",
                      help="register anew, for another account or workspace"),
        ), ("login", "login coder --mode subscription", "login coder --check",
            "login coder --print"), ("signin", "account")),
        Command("oauth", "authorize an MCP server that agent.yaml names", "oauth:oauth", (
            _argument("provider", metavar="PROVIDER", help="its name under mcp-oauth"),
            _argument("--print", action="store_true", dest="print_only",
                      help="print the address, open no browser"),
            _argument("--port", type=int, default=0, metavar="N",
                      help="port of http://127.0.0.1:N/callback, for servers that want to know it "
                           "in advance (default: any)"),
        ), ("oauth notion",), ("auth", "authorize")),
        Command("secret", "store secrets in the desktop's keychain, bound to hosts",
                "secret:secret", (
            _action("set", "list", "remove"),
            _argument("name", nargs="?", metavar="NAME", help="as in agent.yaml: ${NAME}"),
            _argument("--host", action="append", metavar="H",
                      help="bind it to this host; may be given several times"),
            _argument("--from-stdin", action="store_true",
                      help="read the value from standard input"),
            _argument("--in-file", action="store_true",
                      help="store it unencrypted in a private file instead"),
        ), ("secret set GITHUB_TOKEN", "secret set KEY --host api.example.com", "secret list"),
            ("secrets", "keychain", "credential")),
        Command("proxy", "stdio transport for an SSH ProxyCommand; needs no port", "sandbox:proxy",
                (_AGENT,)),
    )),
    Group("All projects", (
        Command("list", "show all sandboxes: state, memory, CPU, ports, refused hosts",
                "listing:listing", (), ("list", "list --json"), ("projects",), ("ls",)),
        Command("top", "show all sandboxes live: figures, logs, refused hosts", "top:top", (), (),
                ("dashboard", "monitor", "stats", "htop")),
        Command("add", "register a project without starting it", "registry:add", (_DIRECTORY,),
                ("add ~/src/coder",), ("register",)),
        Command("remove", "take a project's sandboxes down and forget the project",
                "registry:remove", (
            _DIRECTORY, _PURGE,
            _argument("--discard", action="store_true",
                      help="remove a worktree of `run --branch` even if work is lost"),
        ), ("remove ~/src/coder --volumes", "remove app-fix-login"),
                ("delete",), ("rm",)),
        Command("watch", "keep all sandboxes up to date on every save", "live:watch"),
        Command("tray", "watch, with an icon on the desktop", "live:tray"),
        Command("autostart", "start the tray at login", "live:autostart",
                (_action("on", "off", "status"),), ("autostart on",)),
        Command("pause", "stop applying saves", "registry:pause", (_ALL,), ("pause --all",)),
        Command("resume", "apply saves again", "registry:resume", (_ALL,), (),
                ("unpause", "continue")),
    )),
    Group("Maintain", (
        Command("doctor", "diagnose this machine, and repair what can be repaired", "health:doctor",
                (_argument("--fix", action="store_true", help="repair what can be repaired"),
                 _argument("--explain", metavar="NAME",
                           help="print what is known of a check, or of a problem's code")),
                ("doctor --fix", "doctor --explain engine-network")),
        Command("audit", "attack a running sandbox from inside, and report what held",
                "health:audit", (_AGENT,), ("audit coder",)),
        Command("clean", "show the disk used, and remove what nothing uses", "clean:clean", (
            _argument("--volumes", action="store_true",
                      help="also volumes of agents that were removed"),
            _argument("--dry-run", action="store_true", help="only show it"),
            _YES,
        ), ("clean --dry-run", "clean --volumes"), ("prune", "disk", "df", "gc")),
        Command("completions", "print the script that makes a shell complete companion's commands",
                "completion:completions", (
            _argument("shell", choices=("bash", "zsh", "fish", "powershell"), metavar="SHELL",
                      help="bash, zsh, fish, powershell"),
        ), (), ("completion",)),
        Command("uninstall", "remove everything Companion created", "health:uninstall", (
            _YES, _argument("--purge", action="store_true", help="remove volumes too"),
        )),
        Command("help", "show the help of a command", "usage:show", (
            _argument("topic", nargs="?", metavar="COMMAND", help="the command"),
        ), ("help up",)),
    )),
)  # fmt: skip
COMMANDS = tuple(command for group in GROUPS for command in group.commands)
START = (
    ("run claude", "start an agent on this git repository"),
    ("list", "show all sandboxes, and what needs you"),
    ("status", "show the state of this project's sandboxes"),
    ("open", "open an agent's folder in your editor"),
    ("doctor", "diagnose this machine"),
    ("help", "list all commands"),
)
"""What a bare `companion` shows: the first commands, and what they do."""
EXAMPLES = ("run claude", "init coder && companion -C coder up", "ssh", "open", "watch")


def find(name: str | None) -> Command | None:
    """Return the command of this name."""
    return next((c for c in COMMANDS if name == c.name or name in c.aliases), None)
