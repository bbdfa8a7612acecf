package logs

import (
	"context"
	"errors"
	"io"

	"durable/ipc/task"
)

// Copy writes the bytes of an open log as they are: what there was, or with follow all until its attempt has ended. It
// goes on behind holes, and tells of each. It closes the log's Body.
func Copy(ctx context.Context, w io.Writer, svc task.Service, ref task.Ref, log task.Log, follow bool, hole func(Line)) error {
	s := &source{
		r: &Reader{ctx: ctx, svc: svc, ref: ref}, name: log.Stream, attempt: log.Attempt,
		offset: log.Offset, end: log.Size, follow: follow, body: log.Body,
	}
	defer s.close()
	for {
		b, gone, err := s.chunk()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case gone.Hole:
			hole(gone)
		default:
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
	}
}
