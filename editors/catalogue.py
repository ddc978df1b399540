"""Which editors do we know?"""

from editors import jetbrains, vscode, zed

EDITORS = (*vscode.EDITORS, zed.EDITOR, jetbrains.EDITOR)
