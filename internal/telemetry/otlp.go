package telemetry

import (
	"encoding/binary"
	"math"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// What is sent is an ExportTraceServiceRequest of opentelemetry-proto 1.x, in protobuf's wire format: each field is its number and how it is
// written, then its value. A message in another is written by appendMessage.

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func appendTag(b []byte, field, wire int) []byte {
	return binary.AppendUvarint(b, uint64(field<<3|wire))
}

func appendVarint(b []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(appendTag(b, field, wireVarint), v)
}

func appendFixed64(b []byte, field int, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(appendTag(b, field, wireFixed64), v)
}

func appendBytes[T string | []byte](b []byte, field int, v T) []byte {
	return append(binary.AppendUvarint(appendTag(b, field, wireBytes), uint64(len(v))), v...)
}

// appendMessage writes a message that put appends, behind its length.
func appendMessage(b []byte, field int, put func([]byte) []byte) []byte {
	b = appendTag(b, field, wireBytes)
	start := len(b)
	b = put(b)
	var size [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(size[:], uint64(len(b)-start))
	return slices.Insert(b, start, size[:n]...)
}

// appendRequest writes spans that are all of one provider and one tracer.
func appendRequest(b []byte, spans []sdktrace.ReadOnlySpan) []byte {
	return appendMessage(b, 1, func(b []byte) []byte { // resource_spans
		b = appendMessage(b, 1, func(b []byte) []byte { // resource
			return appendAttributes(b, 1, spans[0].Resource().Attributes())
		})
		return appendMessage(b, 2, func(b []byte) []byte { // scope_spans
			b = appendMessage(b, 1, func(b []byte) []byte { // scope
				s := spans[0].InstrumentationScope()
				return appendBytes(appendBytes(b, 1, s.Name), 2, s.Version)
			})
			for _, s := range spans {
				b = appendMessage(b, 2, func(b []byte) []byte { return appendSpan(b, s) })
			}
			return b
		})
	})
}

func appendSpan(b []byte, s sdktrace.ReadOnlySpan) []byte {
	b = appendContext(b, s.SpanContext())
	if parent := s.Parent(); parent.HasSpanID() {
		id := parent.SpanID()
		b = appendBytes(b, 4, id[:])
	}
	b = appendBytes(b, 5, s.Name())
	b = appendVarint(b, 6, uint64(s.SpanKind())) // the numbers are the same
	b = appendFixed64(b, 7, uint64(s.StartTime().UnixNano()))
	b = appendFixed64(b, 8, uint64(s.EndTime().UnixNano()))
	b = appendAttributes(b, 9, s.Attributes())
	for _, l := range s.Links() {
		b = appendMessage(b, 13, func(b []byte) []byte { return appendContext(b, l.SpanContext) })
	}
	if s.Status().Code == codes.Error {
		b = appendMessage(b, 15, func(b []byte) []byte { return appendVarint(b, 3, 2) })
	}
	return binary.LittleEndian.AppendUint32(appendTag(b, 16, wireFixed32), uint32(s.SpanContext().TraceFlags()))
}

// appendContext writes the ids of a span, which have the same numbers in a link.
func appendContext(b []byte, c trace.SpanContext) []byte {
	trace, span := c.TraceID(), c.SpanID()
	b = appendBytes(appendBytes(b, 1, trace[:]), 2, span[:])
	if state := c.TraceState().String(); state != "" {
		b = appendBytes(b, 3, state)
	}
	return b
}

func appendAttributes(b []byte, field int, all []attribute.KeyValue) []byte {
	for _, a := range all {
		b = appendMessage(b, field, func(b []byte) []byte {
			b = appendBytes(b, 1, string(a.Key))
			return appendMessage(b, 2, func(b []byte) []byte {
				switch a.Value.Type() {
				case attribute.BOOL:
					n := uint64(0)
					if a.Value.AsBool() {
						n = 1
					}
					return appendVarint(b, 2, n)
				case attribute.INT64:
					return appendVarint(b, 3, uint64(a.Value.AsInt64()))
				case attribute.FLOAT64:
					return appendFixed64(b, 4, math.Float64bits(a.Value.AsFloat64()))
				}
				return appendBytes(b, 1, a.Value.String())
			})
		})
	}
	return b
}
