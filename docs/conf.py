"""Settings of the documentation site, which `make docs` builds: scripts/site.py prepares its pages.

Nothing is fetched while a page is read: fonts are the reader's own, and scripts lie in the site.
"""

project = "Companion"
copyright = "the authors of Companion"  # noqa: A001 - the name that Sphinx reads
extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
nitpicky = True

html_theme = "furo"
html_title = "Companion"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_favicon = "icons/idle.ico"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
html_permalinks_icon = "#"
pygments_style = "friendly"
pygments_dark_style = "monokai"
