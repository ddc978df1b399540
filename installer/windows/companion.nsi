; The installer for Windows: for the current user, without an administrator's rights.
; Build: makensis -NOCD -DVERSION=0.2.0 -DBUNDLE=dist/companion -DOUT=dist/companion-setup.exe installer/windows/companion.nsi
; It never ran on Windows. BUNDLE is what PyInstaller makes there (companion.spec), so it is not
; cross-built; a test builds the installer with a stand-in and looks at its contents.
Unicode true
SetCompressor /SOLID lzma
Name "Companion"
OutFile "${OUT}"
RequestExecutionLevel user
!define PLACE "$LOCALAPPDATA\Programs\Companion"
InstallDir "${PLACE}"
ShowInstDetails show

!define ENTRY "Software\Microsoft\Windows\CurrentVersion\Uninstall\Companion"
!define RUN "Software\Microsoft\Windows\CurrentVersion\Run"
!define KEPT "Your sandboxes, settings, projects and secrets stay. To remove the sandboxes, too, cancel and run $\"companion uninstall$\" first.$\r$\n$\r$\nRemove Companion?"

Page instfiles
UninstPage uninstConfirm
UninstPage instfiles

; NSIS cuts texts after 1024 characters, and PATH is often longer; PowerShell does not cut it.
!macro EditPath PREFIX SCRIPT
  nsExec::ExecToLog 'powershell -NoProfile -Command "$$d = $\'$INSTDIR$\'; $$p = @([Environment]::GetEnvironmentVariable($\'Path$\', $\'User$\') -split $\';$\' | Where-Object { $$_ -and $$_ -ne $$d }); ${SCRIPT} [Environment]::SetEnvironmentVariable($\'Path$\', ($$p -join $\';$\'), $\'User$\')"'
  Pop $0
  StrCmp $0 "0" +2
    DetailPrint "PATH was not changed: ${PREFIX} $INSTDIR yourself"
!macroend

; The directory is removed as a whole, so it is always this one, also with /D=.
Function .onInit
  StrCpy $INSTDIR "${PLACE}"
FunctionEnd

Section
  IfFileExists "$INSTDIR\*.*" 0 copy
  RMDir /r "$INSTDIR.old"
  ClearErrors
  Rename "$INSTDIR" "$INSTDIR.old" ; fails as a whole while a program in it runs
  IfErrors 0 renamed
    MessageBox MB_ICONSTOP "Companion is running. Quit its tray icon and try again." /SD IDOK
    Abort
renamed:
  RMDir /r "$INSTDIR.old"
copy:
  SetOutPath "$INSTDIR"
  File /r "${BUNDLE}/*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  CreateShortcut "$SMPROGRAMS\Companion.lnk" "$INSTDIR\companion-tray.exe" "tray"
  !insertmacro EditPath "add" "$$p += $$d;"
  WriteRegStr HKCU "${ENTRY}" "DisplayName" "Companion"
  WriteRegStr HKCU "${ENTRY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${ENTRY}" "DisplayIcon" "$INSTDIR\companion-tray.exe"
  WriteRegStr HKCU "${ENTRY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegDWORD HKCU "${ENTRY}" "NoModify" 1
  WriteRegDWORD HKCU "${ENTRY}" "NoRepair" 1
SectionEnd

Function un.onInit
  StrCpy $INSTDIR "${PLACE}"
  MessageBox MB_YESNO|MB_ICONQUESTION "${KEPT}" /SD IDYES IDYES +2
    Abort
FunctionEnd

Section un.Install
  ClearErrors
  RMDir /r "$INSTDIR"
  IfErrors 0 gone
    MessageBox MB_ICONSTOP "Companion is running. Quit its tray icon and try again." /SD IDOK
    Abort
gone:
  Delete "$SMPROGRAMS\Companion.lnk"
  !insertmacro EditPath "remove" ""
  DeleteRegValue HKCU "${RUN}" "companion"
  DeleteRegKey HKCU "${ENTRY}"
SectionEnd
