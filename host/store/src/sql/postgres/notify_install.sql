CREATE OR REPLACE FUNCTION kennel.notify_events() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('kennel_events', ''); RETURN NULL; END $$;
DROP TRIGGER IF EXISTS kennel_notify ON {events};
CREATE TRIGGER kennel_notify AFTER INSERT ON {events}
FOR EACH STATEMENT EXECUTE FUNCTION kennel.notify_events()
