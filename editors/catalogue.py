"""Which editors do we know?"""

from editors import vscode, zed

EDITORS = (*vscode.EDITORS, zed.EDITOR)
