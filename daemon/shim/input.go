package shim

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"durable/daemon/shim/protocol"
	"durable/ipc/task"
)

// inputs lets one Input write at a time: there is one daemon.
var inputs sync.Mutex

// Input appends to the input of the program that runs, or will run, in dir, and makes it durable. Data that lies before
// the end of what was given already is a repetition, and must be the same; task.StdinAtEnd is that end. limit is how long the whole input may become; 0 is no
// limit. The state is that after the call, also with an error.
func Input(dir string, req task.StdinRequest, limit int64) (task.StdinState, error) {
	var data []byte
	if req.Data != nil { // before the lock: it may come from far away
		var err error
		if data, err = readInput(req.Data, limit); err != nil {
			return task.StdinState{}, err
		}
	}
	inputs.Lock()
	defer inputs.Unlock()
	if err := takesInput(dir); err != nil {
		return task.StdinState{}, err
	}
	f, err := os.OpenFile(filepath.Join(dir, protocol.FileStdin), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return task.StdinState{}, task.Errorf(task.Unavailable, "input: %w", err)
	}
	defer func() { _ = f.Close() }() // what was written was synced
	return appendInput(dir, f, req, data, limit)
}

func readInput(r io.Reader, limit int64) ([]byte, error) {
	if limit > 0 {
		r = io.LimitReader(r, limit+1)
	}
	data, err := io.ReadAll(r)
	var known *task.Error
	switch {
	case errors.As(err, &known): // of who hands it on: the attempt has ended, or there is too much of it
		return nil, known
	case err != nil:
		return nil, task.Errorf(task.InvalidArgument, "read input: %w", err)
	}
	if limit > 0 && int64(len(data)) > limit {
		return nil, tooLong(limit)
	}
	return data, nil
}

func tooLong(limit int64) error {
	return task.Errorf(task.ResourceExhausted, "input: it would be longer than %d bytes", limit).
		WithHint("give the program a file to read")
}

// takesInput refuses a program that would never see the input.
func takesInput(dir string) error {
	s, err := readStarted(dir)
	switch {
	case err == nil && s.Stdin != StdinOpen:
		return task.Errorf(task.FailedPrecondition, "the program was started without an input that can be written to").
			WithHint("start it with stdin open: durablectl run --interactive -- ...")
	case protocol.Exists(dir, protocol.FileExit):
		return task.Errorf(task.FailedPrecondition, "the program has ended")
	}
	return nil
}

// appendInput adds what of data is new, closes the input if asked, and tells the holder.
func appendInput(dir string, f *os.File, req task.StdinRequest, data []byte, limit int64) (task.StdinState, error) {
	info, err := f.Stat()
	if err != nil {
		return task.StdinState{}, task.Errorf(task.Unavailable, "input: %w", err)
	}
	state := task.StdinState{Offset: info.Size(), Closed: protocol.Exists(dir, protocol.FileStdinClosed)}
	if req.Offset < 0 { // task.StdinAtEnd
		req.Offset = state.Offset
	}
	if req.Offset > state.Offset {
		return state, task.Errorf(task.OutOfRange, "input: offset %d is beyond its end at %d", req.Offset, state.Offset).
			WithDetail("size", state.Offset)
	}
	repeated := min(int64(len(data)), state.Offset-req.Offset)
	before := make([]byte, repeated)
	if _, err := f.ReadAt(before, req.Offset); err != nil && repeated > 0 {
		return state, task.Errorf(task.Unavailable, "input: %w", err)
	}
	if !bytes.Equal(before, data[:repeated]) {
		return state, task.Errorf(task.Conflict, "input: other bytes were given at offset %d before", req.Offset).
			WithHint("does somebody else write to it too? the input has %d bytes now", state.Offset).WithDetail("size", state.Offset)
	}
	switch data = data[repeated:]; {
	case len(data) > 0 && state.Closed:
		return state, task.Errorf(task.FailedPrecondition, "input: it was closed at offset %d", state.Offset)
	case limit > 0 && state.Offset+int64(len(data)) > limit:
		return state, tooLong(limit)
	}
	if err := persist(dir, f, data, state.Offset); err != nil {
		return state, err
	}
	state.Offset += int64(len(data))
	if req.Close && !state.Closed {
		if err := protocol.Write(dir, protocol.FileStdinClosed, nil, true); err != nil {
			return state, task.Errorf(task.Unavailable, "close input: %w", err)
		}
		state.Closed = true
	}
	_, _ = command(dir, protocol.Command{}) // a holder that is still to come looks by itself
	return state, nil
}

// persist writes data at the end of f. Half of it may have been written when it fails, and the program may have seen that: who
// repeats the call goes on from there.
func persist(dir string, f *os.File, data []byte, end int64) error {
	if len(data) == 0 {
		return nil
	}
	_, err := f.WriteAt(data, end)
	if err == nil {
		err = f.Sync()
	}
	if err == nil && end == 0 {
		err = protocol.SyncDir(dir)
	}
	if err != nil {
		return task.Errorf(task.ResourceExhausted, "input: %w", err)
	}
	return nil
}
