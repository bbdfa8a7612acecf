package install

import (
	"errors"
	"io/fs"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"

	"durable/ipc/task"
)

// makeFolder makes the system service's folder with a list of its own from the first moment on, so that nobody comes before the
// service does. One that is there already is taken over with all that is in it, but for what is another user's: that is refused.
func makeFolder(dir string) error {
	access, err := windows.SecurityDescriptorFromString(folderAccess)
	if err != nil {
		return task.Errorf(task.Internal, "the access list of %s: %w", dir, err)
	}
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return task.Errorf(task.InvalidArgument, "%s: %w", dir, err)
	}
	attributes := &windows.SecurityAttributes{SecurityDescriptor: access}
	attributes.Length = uint32(unsafe.Sizeof(*attributes))
	err = windows.CreateDirectory(name, attributes)
	if errors.Is(err, windows.ERROR_ALREADY_EXISTS) {
		return takeOver(dir, access)
	}
	return refused("make", dir, err)
}

// takeOver gives dir the access list, then what is in it: whoever was let in by the list before gets no further meanwhile.
func takeOver(dir string, access *windows.SECURITY_DESCRIPTOR) error {
	if err := own(dir, access, found.judgeRoot); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error { // links it does not follow
		switch {
		case err == nil && path != dir:
			err = own(path, access, found.judge)
		case err != nil:
			err = refused("read", path, err)
		}
		if errors.Is(err, fs.ErrNotExist) { // the daemon that runs has removed it
			return nil
		}
		return err
	})
}

// own gives the access list to what is at path, unless judge refuses it. It is looked at and changed by one handle: what is put
// in its place meanwhile is not met. Setting the list of the object alone, with nothing for what is below to inherit anew, goes through
// each file once.
func own(path string, access *windows.SECURITY_DESCRIPTOR, judge func(found) error) error {
	name, err := windows.UTF16PtrFromString(`\\?\` + path) // however long it is
	if err != nil {
		return task.Errorf(task.InvalidArgument, "%s: %w", path, err)
	}
	const sharing = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	h, err := windows.CreateFile(name, windows.READ_CONTROL|windows.WRITE_DAC|windows.FILE_READ_ATTRIBUTES, sharing, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err != nil {
		return refused("open", path, err)
	}
	defer func() { _ = windows.CloseHandle(h) }()
	f, names, err := lookAt(h, path)
	if err == nil {
		err = judge(f)
	}
	if err != nil || names > 1 { // the list is the file's, under all its names: a job may have given another's file one here
		return err
	}
	return refused("protect", path, windows.SetKernelObjectSecurity(h, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, access))
}

// lookAt says what an open file or folder is, and how many names a file has.
func lookAt(h windows.Handle, path string) (found, uint32, error) {
	f := found{path: path}
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return f, 0, refused("look at", path, err)
	}
	f.link = info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0
	f.folder = info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0
	names := info.NumberOfLinks
	if f.folder {
		names = 1
	}
	sd, err := windows.GetSecurityInfo(h, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return f, 0, refused("look at", path, err)
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return f, 0, refused("look at", path, err)
	}
	f.owner = owner.String()
	return f, names, nil
}

// refused makes an error of Windows one of ours; nil stays nil. Who is no administrator here may neither come in nor make something
// that is theirs.
func refused(what, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission), errors.Is(err, windows.ERROR_INVALID_OWNER), errors.Is(err, windows.ERROR_PRIVILEGE_NOT_HELD):
		return task.Errorf(task.PermissionDenied, "%s %s: %w", what, path, err).
			WithHint(`the system service is the administrators' to change: use a terminal that was opened as administrator`)
	}
	return task.Errorf(task.FailedPrecondition, "%s %s: %w", what, path, err)
}
