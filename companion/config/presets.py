"""Egress presets: the hosts that a tool needs to install and update itself.

Each is public and documented by its vendor.
"""

PRESETS: dict[str, tuple[str, ...]] = {
    "github": ("github.com", "api.github.com", "codeload.github.com", "*.githubusercontent.com"),
    "npm": ("registry.npmjs.org",),
    "pypi": ("pypi.org", "files.pythonhosted.org"),
    "copilot": (
        "github.com",
        "api.github.com",
        "copilot-proxy.githubusercontent.com",
        "origin-tracker.githubusercontent.com",
        "*.githubcopilot.com",
    ),
    "vscode": (
        "update.code.visualstudio.com",
        "vscode.download.prss.microsoft.com",
        "marketplace.visualstudio.com",
        "*.gallery.vsassets.io",
        "*.gallerycdn.vsassets.io",
        "main.vscode-cdn.net",
        "*.vscode-unpkg.net",
    ),
    "zed": ("zed.dev", "cloud.zed.dev", "api.zed.dev", "github.com", "*.githubusercontent.com"),
}
