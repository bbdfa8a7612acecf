package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"durable/ipc/task"
)

// The marker is a line of text with the store's UUID.
const markerPrefix = "durable store "

func readMarker(dir string) (id string, err error) {
	path := filepath.Join(dir, markerFile)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", errAccess(path, err)
	}
	id, ok := strings.CutPrefix(strings.TrimSpace(string(b)), markerPrefix)
	if !ok {
		id = "unreadable" // it says that there was a store, which is what it is for
	}
	return id, nil
}

func writeMarker(dir, id string) error {
	path := filepath.Join(dir, markerFile)
	err := writeSynced(path+tmpSuffix, []byte(markerPrefix+id+"\n"))
	if err == nil {
		err = publish(path+tmpSuffix, path)
	}
	if err != nil {
		return errAccess(path, err)
	}
	return nil
}

// checkMarker refuses a store that is not the one that was in this folder.
func (s *Store) checkMarker(id string) error {
	marker, err := readMarker(s.o.Dir)
	switch {
	case err != nil:
		return err
	case marker == "":
		return writeMarker(s.o.Dir, id) // a crash came between the store and its marker
	case marker != id:
		return task.Errorf(task.FailedPrecondition, "store %s is not the one that belongs here: it is %s, the marker names %s; nothing was changed", s.path(), id, marker).
			WithHint("put the right file back; if this one is meant, remove %s", filepath.Join(s.o.Dir, markerFile))
	}
	return nil
}
