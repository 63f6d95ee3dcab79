-- What tasks have put out, by what they were given. Keys are 16 bytes of a SHA-256 (keys.h) over the names, so that every
-- look-up by names is one probe of one narrow index, and rows refer to each other without asking the database first.
CREATE TABLE datasets (
    key bytea PRIMARY KEY,                  -- of project, domain, name, version
    seq bigint GENERATED ALWAYS AS IDENTITY,
    uuid uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    metadata bytea NOT NULL,                -- datacatalog.Metadata
    partition_keys bytea NOT NULL,          -- datacatalog.Dataset with nothing but its partition keys
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX datasets_by_time ON datasets (created_at, seq);
CREATE INDEX datasets_by_name ON datasets (name);

CREATE TABLE artifacts (
    key bytea PRIMARY KEY,                  -- of dataset and id
    seq bigint GENERATED ALWAYS AS IDENTITY,
    dataset bytea NOT NULL REFERENCES datasets,
    id text NOT NULL,
    stored bytea NOT NULL,                  -- alula.StoredArtifact
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX artifacts_by_time ON artifacts (dataset, created_at, seq);
CREATE INDEX artifacts_by_id ON artifacts USING hash (id);

-- For filters only; the artifact has them too, in order.
CREATE TABLE partitions (
    dataset bytea NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    artifact bytea NOT NULL REFERENCES artifacts ON DELETE CASCADE,
    UNIQUE (artifact, key, value)
);

CREATE TABLE tags (
    key bytea PRIMARY KEY,                  -- of dataset and name
    artifact bytea NOT NULL REFERENCES artifacts,
    name text NOT NULL,
    overwritten boolean NOT NULL,           -- the artifact is not the first that the tag had
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tags_by_artifact ON tags (artifact);

-- Room in each page, so that heartbeats touch no index.
CREATE TABLE reservations (
    key bytea PRIMARY KEY,                  -- that of the tag, or of the cache's key
    owner text NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- CacheService's.
CREATE TABLE outputs (
    key bytea PRIMARY KEY,
    id text NOT NULL,
    literals bytea,                         -- core.LiteralMap; NULL: it is elsewhere
    uri text NOT NULL,
    owned boolean NOT NULL,                 -- the object under the URI is ours
    metadata bytea NOT NULL,                -- cacheservice.Metadata without times
    replaced text NOT NULL,                 -- URI of ours that the last put took the place of
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
