package task

// The HTTP side of the vocabulary: what localapi and client must agree on besides the JSON shapes.
const (
	// HeaderVersion and HeaderAPI go both ways: the version of the program, and [API].
	HeaderVersion = "Durable-Version"
	HeaderAPI     = "Durable-Api"
	// HeaderClient is [Caller.Client].
	HeaderClient = "Durable-Client"
	// HeaderVia is [Caller.Via].
	HeaderVia = "Durable-Via"
	// HeaderKey carries the [Key] of a request that changes something.
	HeaderKey = "Idempotency-Key"

	// The fields of [Log] besides its Body.
	HeaderLogStream  = "Durable-Log-Stream"
	HeaderLogAttempt = "Durable-Log-Attempt"
	HeaderLogOffset  = "Durable-Log-Offset"
	HeaderLogSize    = "Durable-Log-Size"
	HeaderLogEnded   = "Durable-Log-Ended"

	// HeaderArtifactModified is [Artifact.ModTime], with the fraction that Last-Modified lacks.
	HeaderArtifactModified = "Durable-Artifact-Modified"
)

// MaxBody is the size of a JSON request in bytes: [MaxParams] and everything else that a [Spec] may hold.
const MaxBody = 2 << 20

// DetailRoute is the key in [Error.Details] whose value is a path that this daemon does not serve: it
// tells "no such route" from "no such task".
const DetailRoute = "route"

// Envelope is how an error lies in a response, and on the last line of an event stream that broke off.
type Envelope struct {
	Error *Error `json:"error"`
}

// Validate checks k. The error is an [InvalidArgument]. The empty key is valid.
func (k Key) Validate() error {
	if len(k) > MaxKey {
		return Errorf(InvalidArgument, "idempotency key: %d bytes, the limit is %d", len(k), MaxKey)
	}
	for i := range len(k) {
		if k[i] <= ' ' || k[i] >= 0x7f {
			return Errorf(InvalidArgument, "idempotency key: byte %#x at %d, want visible ASCII", k[i], i)
		}
	}
	return nil
}
