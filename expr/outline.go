package expr

// Outline is an expression as people read it, with ? in place of each literal: what may be told of it where values may not be.
// Of one that cannot be read it is what comes before the mistake.
func Outline(src string) string {
	l := lexer{src: src}
	dst := make([]byte, 0, len(src))
	end := 0
	for {
		t, err := l.next()
		if err != nil || t.kind == tokEnd {
			return string(dst)
		}
		if len(dst) > 0 && t.start > end { // white space, or a comment
			dst = append(dst, ' ')
		}
		end = t.end
		switch t.kind {
		case tokString, tokInt, tokFloat:
			dst = append(dst, '?')
		default:
			dst = append(dst, src[t.start:t.end]...)
		}
	}
}
