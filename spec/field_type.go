package spec

var typeNames = [...]string{
	"text", "email", "url", "int", "bigint", "float", "decimal", "bool", "time", "date",
	"enum", "ref", "list", "json", "file",
}

// String is the type's name in the app file.
func (t FieldType) String() string { return typeNames[t] }

func typeOf(name string) (FieldType, bool) {
	for i, n := range typeNames {
		if n == name {
			return FieldType(i), true
		}
	}
	return 0, false
}

var itemTypes = []FieldType{Text, Int, Float, Enum, Ref}

func (t FieldType) in(list []FieldType) bool {
	for _, x := range list {
		if x == t {
			return true
		}
	}
	return false
}

// textual says whether values are free texts.
func (t FieldType) textual() bool { return t == Text || t == Email || t == URL }
