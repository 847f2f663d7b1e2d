"""The documentation site: what MkDocs needs beside its configuration, and the generated pages."""
