"""From scores to stream candidates: lines, protoclusters, protostreams and their linking."""
