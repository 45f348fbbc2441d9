; The Windows installer: for one user, without an administrator.
; packaging/release calls makensis with VERSION, NUMBERS, ARCH, SOURCE, OUT.
Unicode true
!include MUI2.nsh
!include LogicLib.nsh
!include FileFunc.nsh

Name "Melon"
OutFile "${OUT}"
RequestExecutionLevel user
InstallDir "$LOCALAPPDATA\Programs\Melon"
InstallDirRegKey HKCU "Software\Melon" "InstallDir"
SetCompressor /SOLID lzma
BrandingText "Melon ${VERSION}"

VIProductVersion "${NUMBERS}"
VIAddVersionKey "ProductName" "Melon"
VIAddVersionKey "FileDescription" "Melon, a local mail relay"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "LegalCopyright" "The Melon authors, MIT licence"

!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\Melon"
!define MUI_ICON "${SOURCE}/melon.ico"
!define MUI_UNICON "${SOURCE}/melon.ico"
!define MUI_FINISHPAGE_RUN "$INSTDIR\melon-tray.exe"
!define MUI_FINISHPAGE_RUN_TEXT $(startNow)

!insertmacro MUI_PAGE_WELCOME
!insertmacro MUI_PAGE_LICENSE "${SOURCE}/LICENSE"
!insertmacro MUI_PAGE_COMPONENTS
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "Japanese"

LangString startNow ${LANG_ENGLISH} "Start Melon now"
LangString startNow ${LANG_JAPANESE} "Melon を今すぐ起動する"
LangString nameMelon ${LANG_ENGLISH} "Melon"
LangString nameMelon ${LANG_JAPANESE} "Melon"
LangString nameStart ${LANG_ENGLISH} "Start at login"
LangString nameStart ${LANG_JAPANESE} "ログイン時に起動する"
LangString namePath ${LANG_ENGLISH} "The melon command in new terminals"
LangString namePath ${LANG_JAPANESE} "新しい端末で melon コマンドを使う"
LangString askMail ${LANG_ENGLISH} "Also delete your configuration, and the messages that still wait to be sent? Messages that wait would be lost."
LangString askMail ${LANG_JAPANESE} "設定と、送信待ちのメールも削除しますか。送信待ちのメールは失われます。"

Section $(nameMelon) SectionMelon
	SectionIn RO
	Call StopMelon
	SetOutPath "$INSTDIR"
	File "${SOURCE}/melon.exe"
	File "${SOURCE}/melon-tray.exe"
	File "${SOURCE}/melon.ico"
	File "${SOURCE}/LICENSE"
	File "${SOURCE}/THIRD-PARTY-LICENCES.txt"
	File "${SOURCE}/README.md"
	File "${SOURCE}/README.ja.md"
	File "${SOURCE}/CHANGELOG.md"
	WriteUninstaller "$INSTDIR\uninstall.exe"
	CreateShortcut "$SMPROGRAMS\Melon.lnk" "$INSTDIR\melon-tray.exe" "" "$INSTDIR\melon.ico"
	WriteRegStr HKCU "Software\Melon" "InstallDir" "$INSTDIR"
	WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "Melon"
	WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
	WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "$INSTDIR\melon.ico"
	WriteRegStr HKCU "${UNINSTALL}" "Publisher" "The Melon authors"
	WriteRegStr HKCU "${UNINSTALL}" "InstallLocation" "$INSTDIR"
	WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
	WriteRegStr HKCU "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
	WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
	WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
	${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
	IntFmt $0 "0x%08X" $0
	WriteRegDWORD HKCU "${UNINSTALL}" "EstimatedSize" "$0"
SectionEnd

Section $(nameStart) SectionStart
	nsExec::Exec '"$INSTDIR\melon.exe" autostart on'
	Pop $0
SectionEnd

; Windows looks here for a program that is started by its name alone (Win+R,
; `start melon`); PATH itself is left as it is, as editing it can cut it short.
Section $(namePath) SectionPath
	WriteRegStr HKCU "Software\Microsoft\Windows\CurrentVersion\App Paths\melon.exe" "" "$INSTDIR\melon.exe"
	WriteRegStr HKCU "Software\Microsoft\Windows\CurrentVersion\App Paths\melon.exe" "Path" "$INSTDIR"
SectionEnd

; A running relay keeps its own program file busy. It is asked to stop, finishes
; or keeps what is in flight, and its outbox is on the disk.
!macro STOP un
Function ${un}StopMelon
	${If} ${FileExists} "$INSTDIR\melon.exe"
		nsExec::Exec '"$INSTDIR\melon.exe" stop'
		Pop $0
		nsExec::Exec 'taskkill /IM melon-tray.exe'
		Pop $0
		; Until the file is free, ten seconds at most.
		StrCpy $1 0
		${Do}
			ClearErrors
			FileOpen $0 "$INSTDIR\melon.exe" a
			${IfNot} ${Errors}
				FileClose $0
				${ExitDo}
			${EndIf}
			Sleep 250
			IntOp $1 $1 + 1
		${LoopUntil} $1 >= 40
	${EndIf}
FunctionEnd
!macroend
!insertmacro STOP ""
!insertmacro STOP "un."

Section Uninstall
	Call un.StopMelon
	nsExec::Exec '"$INSTDIR\melon.exe" autostart off'
	Pop $0
	Delete "$INSTDIR\melon.exe"
	Delete "$INSTDIR\melon-tray.exe"
	Delete "$INSTDIR\melon.ico"
	Delete "$INSTDIR\LICENSE"
	Delete "$INSTDIR\THIRD-PARTY-LICENCES.txt"
	Delete "$INSTDIR\README.md"
	Delete "$INSTDIR\README.ja.md"
	Delete "$INSTDIR\CHANGELOG.md"
	Delete "$INSTDIR\uninstall.exe"
	RMDir "$INSTDIR"
	Delete "$SMPROGRAMS\Melon.lnk"
	DeleteRegKey HKCU "${UNINSTALL}"
	DeleteRegKey HKCU "Software\Microsoft\Windows\CurrentVersion\App Paths\melon.exe"
	DeleteRegKey HKCU "Software\Melon"
	; A silent uninstall keeps them.
	MessageBox MB_YESNO|MB_ICONEXCLAMATION|MB_DEFBUTTON2 $(askMail) /SD IDNO IDNO keep
	RMDir /r "$APPDATA\Melon"
	RMDir /r "$LOCALAPPDATA\Melon"
	keep:
SectionEnd
