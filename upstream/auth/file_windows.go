package auth

import (
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	openFlags = 0
	errNotDir = windows.ERROR_DIRECTORY
)

// readRights are the access rights that show a file's content.
const readRights = windows.FILE_READ_DATA | windows.GENERIC_READ | windows.GENERIC_ALL

// notPrivate says why the open file is not this user's alone, by its access
// control list; "" when it is. The system itself and administrators may read
// every file and do not count.
func notPrivate(f *os.File, _ fs.FileInfo) (why, advice string) {
	const unclear = "has an access list that cannot be read"
	sd, err := windows.GetSecurityInfo(windows.Handle(f.Fd()), windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return unclear, "keep it on a disk with access lists (NTFS)"
	}
	trusted, err := trustedSIDs()
	if err != nil {
		return unclear, "try again"
	}
	owner, _, err := sd.Owner()
	if err != nil || !contains(trusted, owner) {
		return "belongs to another user", "make yourself its owner"
	}
	acl, _, err := sd.DACL()
	if err != nil || acl == nil { // no list at all: open to everybody
		return "is open to others", "remove everybody but yourself under Properties, Security"
	}
	for i := range uint32(acl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(acl, i, &ace); err != nil {
			return unclear, "try again"
		}
		if ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE ||
			ace.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0 || ace.Mask&readRights == 0 {
			continue
		}
		if !contains(trusted, (*windows.SID)(unsafe.Pointer(&ace.SidStart))) {
			return "is open to others", "remove everybody but yourself under Properties, Security"
		}
	}
	return "", ""
}

// trustedSIDs are this user, the system and the administrators.
func trustedSIDs() ([]*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	sids := []*windows.SID{user.User.Sid}
	for _, kind := range []windows.WELL_KNOWN_SID_TYPE{windows.WinLocalSystemSid, windows.WinBuiltinAdministratorsSid} {
		sid, err := windows.CreateWellKnownSid(kind)
		if err != nil {
			return nil, err
		}
		sids = append(sids, sid)
	}
	return sids, nil
}

func contains(sids []*windows.SID, sid *windows.SID) bool {
	for _, s := range sids {
		if s.Equals(sid) {
			return true
		}
	}
	return false
}

// makePrivate gives the file an access list of its own, which inherits nothing:
// this user and the system.
func makePrivate(f *os.File) error {
	sids, err := trustedSIDs()
	if err != nil {
		return err
	}
	var entries []windows.EXPLICIT_ACCESS
	for _, sid := range sids[:2] {
		entries = append(entries, windows.EXPLICIT_ACCESS{
			AccessPermissions: windows.GENERIC_ALL,
			AccessMode:        windows.GRANT_ACCESS,
			Trustee: windows.TRUSTEE{
				TrusteeForm:  windows.TRUSTEE_IS_SID,
				TrusteeValue: windows.TrusteeValueFromSID(sid),
			},
		})
	}
	acl, err := windows.ACLFromEntries(entries, nil)
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(f.Name(), windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, acl, nil)
}

// syncDir does nothing: Windows cannot flush a directory, and NTFS journals
// names.
func syncDir(string) error { return nil }
