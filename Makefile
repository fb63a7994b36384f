# make release: the program for every system, with its checksums and what it is made of, in dist/. The same commit and the same
# Go give the same bytes.
SYSTEMS = linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64
SBOM = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0

.PHONY: release clean
release: $(SYSTEMS:%=dist/plinth-%) dist/plinth.cdx.json
	cd dist && sha256sum plinth-* plinth.cdx.json > SHA256SUMS

dist/plinth-%: FORCE
	CGO_ENABLED=0 GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) \
		go build -trimpath -ldflags="-s -w -buildid=" \
		-o $@$(if $(filter windows-%,$*),.exe) ./cmd/plinth

dist/plinth.cdx.json: FORCE
	mkdir -p dist && go run $(SBOM) app -json -licenses -main cmd/plinth -output $@ .

clean:
	rm -rf dist

FORCE:
