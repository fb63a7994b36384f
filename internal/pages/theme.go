package pages

import (
	"fmt"
	"math"
	"strconv"
)

// accent is the colour of an app that names none.
const accent = "#1d4ed8"

// enough is the contrast that text needs with what is behind it (WCAG 2.2, 1.4.3, level AA); a little more, for rounding.
const enough = 4.6

// The backgrounds on which links stand: they are those of site/pages.css.
var (
	light = rgb{0xff, 0xff, 0xff}
	dark  = rgb{0x1b, 0x1d, 0x22}
)

// theme is the stylesheet of an app's own colour: as it is for buttons, and for links as dark, or as light, as they must be to
// be read.
func theme(hex string) []byte {
	if hex == "" {
		hex = accent
	}
	c := colour(hex)
	on := rgb{0xff, 0xff, 0xff}
	if contrast(c, on) < enough {
		on = rgb{}
	}
	return fmt.Appendf(nil, ":root { --accent: %s; --on-accent: %s; --link: light-dark(%s, %s); }\n", c, on, readable(c, light), readable(c, dark))
}

// rgb is a colour of sRGB.
type rgb [3]uint8

func (c rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

// colour reads #rrggbb, which package spec has looked at.
func colour(hex string) (c rgb) {
	n, _ := strconv.ParseUint(hex[1:], 16, 24)
	return rgb{uint8(n >> 16), uint8(n >> 8), uint8(n)}
}

// readable is the colour nearest to c that can be read on a background.
func readable(c, behind rgb) rgb {
	to := rgb{}
	if luminance(behind) < .5 {
		to = rgb{0xff, 0xff, 0xff}
	}
	made := c
	for step := 1.0; contrast(made, behind) < enough && step <= 20; step++ {
		for i := range made {
			made[i] = uint8(math.Round(float64(c[i]) + (float64(to[i])-float64(c[i]))*step/20))
		}
	}
	return made
}

// contrast is the ratio of two colours, from 1 to 21 (WCAG 2.2, contrast ratio).
func contrast(a, b rgb) float64 {
	one, other := luminance(a), luminance(b)
	return (max(one, other) + .05) / (min(one, other) + .05)
}

// luminance is that of WCAG 2.2, relative luminance.
func luminance(c rgb) float64 {
	var part [3]float64
	for i, v := range c {
		s := float64(v) / 255
		if s <= .04045 {
			part[i] = s / 12.92
		} else {
			part[i] = math.Pow((s+.055)/1.055, 2.4)
		}
	}
	return .2126*part[0] + .7152*part[1] + .0722*part[2]
}
