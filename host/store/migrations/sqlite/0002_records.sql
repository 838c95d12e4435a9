-- The number of the deployment that a rollback returned to.
ALTER TABLE kennel_deployment ADD COLUMN returns_to BIGINT;

-- What people have ordered, for the record: who did what, when and why. Nothing is ever taken from it.
CREATE TABLE kennel_ordered (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    projection TEXT NOT NULL REFERENCES kennel_projection (name),
    command TEXT NOT NULL,
    -- The number of the deployment that it was about, if it was about one.
    deployment BIGINT,
    author TEXT NOT NULL,
    note TEXT,
    ordered_at BIGINT NOT NULL
);
CREATE INDEX kennel_ordered_projection ON kennel_ordered (projection, id);

-- The table that a view shows; none if it is empty. One that serves and is not shown will be, by the next sweep.
ALTER TABLE kennel_published ADD COLUMN table_name TEXT;

-- Why a deployment that is being built does not get on, if that is no event's doing: one line for each host or step
-- that says so. Whoever says so repeats it; what has not been repeated for long is over.
CREATE TABLE kennel_obstacle (
    deployment BIGINT NOT NULL REFERENCES kennel_deployment (id),
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    told_at BIGINT NOT NULL,
    PRIMARY KEY (deployment, source)
);

-- No two collections share a view.
CREATE UNIQUE INDEX kennel_published_view ON kennel_published (view_name);

-- When somebody last had it stored. One that was never deployed goes some time after that.
ALTER TABLE kennel_component ADD COLUMN wanted_at BIGINT NOT NULL DEFAULT 0;
