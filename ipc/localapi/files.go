package localapi

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"durable/ipc/task"
)

// logChunk is how much of a log is read at once, in bytes.
const logChunk = 32 << 10

func (h *Handler) log(w http.ResponseWriter, r *http.Request) error {
	id, err := ref(r)
	if err != nil {
		return err
	}
	q := parseQuery(r.URL.RawQuery, "stream", "attempt", "offset", "tail", "follow")
	lq := task.LogQuery{
		Stream:  q.text("stream"),
		Attempt: int(q.number("attempt", math.MaxInt32)),
		Offset:  q.number("offset", math.MaxInt64),
		Tail:    int(q.number("tail", math.MaxInt32)),
		Follow:  q.flag("follow"),
	}
	if lq.Tail > 0 && lq.Offset > 0 {
		q.fail("offset and tail: only one of them")
	}
	if q.err != nil {
		return q.err
	}
	log, err := h.svc.Log(r.Context(), id, lq)
	if err != nil {
		return err
	}
	defer log.Body.Close()
	writeLogHeader(w, log)
	if lq.Follow {
		return follow(w, r, log.Body)
	}
	_, err = io.CopyBuffer(w, log.Body, make([]byte, logChunk))
	return err
}

func writeLogHeader(w http.ResponseWriter, log task.Log) {
	header := w.Header()
	header["Content-Type"] = bytesType
	header.Set(task.HeaderLogStream, log.Stream)
	header.Set(task.HeaderLogAttempt, strconv.Itoa(log.Attempt))
	header.Set(task.HeaderLogOffset, strconv.FormatInt(log.Offset, 10))
	header.Set(task.HeaderLogSize, strconv.FormatInt(log.Size, 10))
	header.Set(task.HeaderLogEnded, strconv.FormatBool(log.Ended))
	w.WriteHeader(http.StatusOK)
}

// follow sends what comes when it comes. Its end is the attempt's end; anything else breaks the
// connection, and the client asks again from where it is.
func follow(w http.ResponseWriter, r *http.Request, body io.ReadCloser) error {
	stop := context.AfterFunc(r.Context(), func() { body.Close() })
	defer stop()
	out := http.NewResponseController(w)
	buf := make([]byte, logChunk)
	for {
		if err := out.Flush(); err != nil {
			return err
		}
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ArtifactList is the body of GET /v1/tasks/{id}/artifacts.
type ArtifactList struct {
	Artifacts []task.Artifact `json:"artifacts"`
}

func (h *Handler) artifacts(w http.ResponseWriter, r *http.Request) error {
	id, err := ref(r)
	if err != nil {
		return err
	}
	list, err := h.svc.Artifacts(r.Context(), id)
	if list == nil {
		list = []task.Artifact{}
	}
	return reply(w, ArtifactList{list}, err)
}

func (h *Handler) artifact(w http.ResponseWriter, r *http.Request) error {
	id, err := ref(r)
	if err != nil {
		return err
	}
	a, body, err := h.svc.OpenArtifact(r.Context(), id, r.PathValue("name"))
	if err != nil {
		return err
	}
	defer body.Close()
	header := w.Header()
	header["Content-Type"] = bytesType
	header.Set("Content-Length", strconv.FormatInt(a.Size, 10))
	header.Set(task.HeaderArtifactModified, a.ModTime.Format(time.RFC3339Nano))
	w.WriteHeader(http.StatusOK)
	// An artifact is final: one that is shorter than it says is broken, and must not look whole.
	_, err = io.CopyN(w, body, a.Size)
	return err
}
