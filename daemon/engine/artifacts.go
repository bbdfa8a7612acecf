package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"durable/ipc/task"
)

// Artifacts implements task.Service.
func (e *Engine) Artifacts(ctx context.Context, ref task.Ref) ([]task.Artifact, error) {
	t, err := e.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	list := []task.Artifact{}
	root := e.artifacts(t.ID)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		list = append(list, task.Artifact{Name: filepath.ToSlash(name), Size: info.Size(), ModTime: info.ModTime().UTC()})
		return err
	})
	if err != nil {
		return nil, task.Errorf(task.Internal, "artifacts of task %d: %w", t.Number, err)
	}
	return list, nil
}

// OpenArtifact implements task.Service. os.Root keeps names and links inside the folder.
func (e *Engine) OpenArtifact(ctx context.Context, ref task.Ref, name string) (task.Artifact, io.ReadCloser, error) {
	t, err := e.Get(ctx, ref)
	if err != nil {
		return task.Artifact{}, nil, err
	}
	missing := task.Errorf(task.NotFound, "task %d has no artifact %q", t.Number, name)
	root, err := os.OpenRoot(e.artifacts(t.ID))
	if err != nil {
		return task.Artifact{}, nil, missing
	}
	defer func() { _ = root.Close() }()
	path := filepath.FromSlash(name)
	if info, err := root.Stat(path); err != nil || !info.Mode().IsRegular() {
		return task.Artifact{}, nil, missing // not even opened: a named pipe would hold us until somebody writes
	}
	f, err := root.Open(path)
	if err != nil {
		return task.Artifact{}, nil, missing
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return task.Artifact{}, nil, missing
	}
	return task.Artifact{Name: name, Size: info.Size(), ModTime: info.ModTime().UTC()}, f, nil
}

func (e *Engine) artifacts(id task.ID) string {
	return filepath.Join(e.cfg.TasksDir, string(id), artifactsFolder)
}
