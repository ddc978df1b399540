"""The supported editors."""

from editors import jetbrains, vscode, zed

EDITORS = (*vscode.EDITORS, zed.EDITOR, jetbrains.EDITOR)
