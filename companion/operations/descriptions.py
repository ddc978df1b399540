"""Descriptions: what each key of agent.yaml and fleet.yaml is for, in a sentence.

Editors show them by the JSON Schema, and a manual page prints them. Plain data, as packages are
built without the libraries of the models.
"""

from collections.abc import Mapping

_RULES = {
    "allow": "Requests that may be sent, as METHOD PATH; without this key, all.",
    "deny": "Requests that are refused, whatever `allow` says.",
}
_VERSION = {"version": "The version of the program, or latest."}
KEYS: Mapping[str, Mapping[str, str]] = {
    "agent.yaml": {
        "name": "The agent's name, and its host on the desktop: NAME.sandbox.",
        "runtime": "The agent program: the name of a built-in one, or how to install another.",
        "container_runtime": "The engine; without this key, Docker if it answers, else Podman.",
        "log_level": "How much the gateway logs.",
        "gateway": "false: an open network without a gateway, rules and secrets.",
        "workdir": "The directory in the sandbox where terminals and editors begin.",
        "egress": "The hosts that the agent may reach besides configured services.",
        "limits": "How much of the machine the agent may use.",
        "packages": "Debian packages to install, besides those that every image has.",
        "features": "Plugins, each with its options.",
    },
    "runtime": {
        "name": "The name of a built-in runtime.",
        "version": "The version of its program, or latest.",
        "base_image": "The image to start from, of Debian or Ubuntu.",
        "install": "Commands that install the program while the image is built.",
        "cmd": "What the sandbox runs.",
        "acp_cmd": "The command by which editors talk to the agent (ACP).",
        "ports": "Ports of the program on the desktop.",
        "user": "The agent's user in the sandbox.",
    },
    "egress": {
        "mode": "listed: only hosts that are named; open: every public host on 443 and 80.",
        "allow": "Host names; *.NAME stands for all names below it.",
        "presets": "Lists of hosts that a tool needs.",
    },
    "limits": {
        "memory": "The most memory, such as 512m or 8g.",
        "pids": "The most processes and threads.",
        "cpus": 'The most cores, in quotes: "1.5".',
    },
    "features": {
        "plugin": "The name of the plugin; `companion plugins` lists them.",
        "name": "Of the plugin git: the name in the agent's commits.",
    },
    "ssh": {
        "port": "The port on the desktop's 127.0.0.1, or auto for a free one that is kept.",
        "authorized_keys": "A file of the project with public keys that may log in.",
        "host_key": "A file of the project with the host key, instead of a generated one.",
    },
    "custom-runtime": {
        "commands": "Commands that root runs while the image is built.",
        "entrypoint_hooks": "Scripts of the project that the agent's user runs at each start.",
        "root_hooks": "Scripts of the project that root runs at each start.",
        "capabilities": "Capabilities of root hooks: CHOWN, DAC_OVERRIDE, FOWNER.",
        "ports": "Ports of the agent on the desktop, as [[ADDRESS:]HOST:]CONTAINER.",
        "runtime_volumes": "Mounts, as SOURCE:TARGET[:ro]; a source without a slash is a volume.",
        "home_override": "A directory of the project whose files are copied into the agent's home.",
        "env": "Variables of the agent, as NAME=VALUE.",
    },
    "external-services": {"services": "The services that the agent may reach."},
    "git": {
        "name": "The name in the agent's commits.",
        "email": "The email address in the agent's commits.",
        "push": "Hosts to push to over HTTPS, each with its token.",
        "sign": "Whether commits are signed with a key of the sandbox's own.",
    },
    "github-pat": {
        "token": "The token, as ${NAME}; the agent never sees its value.",
        "domains": "The hosts that receive it.",
        **_RULES,
    },
    "mcp-oauth": {
        "providers": "MCP servers by name; `companion oauth NAME` authorizes one.",
        "token_dir": "Accepted for configs of agent-sandbox, and not used.",
    },
    "codex": {
        "api_key": "An OpenAI key, as ${NAME}; the gateway adds it.",
        "login": "chatgpt: your ChatGPT plan instead of a key; `companion login` logs in.",
        **_VERSION, **_RULES,
    },
    "claude-code": {
        "api_key": "An Anthropic key, as ${NAME}; the gateway adds it.",
        "oauth_token": "The token of a subscription, as ${NAME}, from `claude setup-token`.",
        **_VERSION, **_RULES,
    },
    "gemini-cli": {
        "api_key": "A Gemini key, as ${NAME}; the gateway adds it.", **_VERSION, **_RULES,
    },
    "opencode": {
        "provider_keys": "Keys of model providers, by provider, each as ${NAME}.",
        **_VERSION, **_RULES,
    },
    "pi": {
        "providers": "Model providers that the agent may reach.",
        "provider_keys": "Keys of model providers, by provider, each as ${NAME}.",
        **_VERSION, **_RULES,
    },
    "external-services: services": {
        "url": "The service's address: http://, https:// or docker://, with its port.",
        "network": "The engine's network that a docker:// service is on.",
        "headers": "Headers that the gateway adds; each value has one ${NAME}.",
        **_RULES,
    },
    "git: push": {
        "token": "The token, as ${NAME}; the agent never sees its value.",
        "kind": "The kind of forge: github, gitlab, gitea, forgejo, bitbucket and others.",
        **_RULES,
    },
    "mcp-oauth: providers": {
        "mcp_url": "The address of the MCP server.",
        "client_id": "The ID of a client of your own, if the server registers none.",
        "client_secret": "The secret of that client, as ${NAME}.",
    },
    "fleet.yaml": {
        "agents": "Directories beside fleet.yaml, each with an agent.yaml.",
        "shared": "What all agents have, unless their own agent.yaml says otherwise.",
    },
    "shared": {
        "container_runtime": "The engine of all agents.",
        "egress": "The hosts that all agents may reach.",
        "features": "Plugins of all agents; an agent's own entry replaces one of the same plugin.",
    },
}  # fmt: skip
"""Model, by the key or plugin that holds it → its keys, each with its sentence."""
