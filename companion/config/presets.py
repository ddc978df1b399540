"""Egress presets: the hosts that a tool needs to install and update itself.

Each is public and documented by its vendor.
"""

PRESETS: dict[str, tuple[str, ...]] = {
    "cargo": ("index.crates.io", "static.crates.io", "crates.io"),
    "github": ("github.com", "api.github.com", "codeload.github.com", "*.githubusercontent.com"),
    "go": ("proxy.golang.org", "sum.golang.org"),
    "maven": (
        "repo.maven.apache.org",
        "repo1.maven.org",
        "plugins.gradle.org",
        "services.gradle.org",
        "downloads.gradle.org",
    ),
    "npm": ("registry.npmjs.org",),
    "pypi": ("pypi.org", "files.pythonhosted.org"),
    "copilot": (
        "github.com",
        "api.github.com",
        "copilot-proxy.githubusercontent.com",
        "origin-tracker.githubusercontent.com",
        "*.githubcopilot.com",
    ),
    "rubygems": ("rubygems.org", "index.rubygems.org"),
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
