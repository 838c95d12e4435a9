CREATE OR REPLACE FUNCTION kennel.notify_events() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('kennel_events', ''); RETURN NULL; END $$;
-- One that is there stays: only the owner of the table could replace it.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {events_name}::regclass AND tgname = 'kennel_notify') THEN
        CREATE TRIGGER kennel_notify AFTER INSERT ON {events}
        FOR EACH STATEMENT EXECUTE FUNCTION kennel.notify_events();
    END IF;
END $$
