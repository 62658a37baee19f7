-- The peers' task written by hand for DuckDB: the floor that our mapping is measured against. One pass, each address read once, the four code lists as
-- joins, dates by strptime with a format list. It may assume what its author knows of this register (blanks inside are plain spaces, names are one word
-- of Cyrillic letters, no cell is too long); a mapping may not. `register` is the table to read.
WITH
sexes(k, v) AS (VALUES ('М', '1'), ('Ж', '2'), ('муж', '1'), ('жен', '2'), ('Э', '1'), ('А', '2')),
maritals(k, v) AS (VALUES ('Х', 'single'), ('Б', 'married'), ('Р', 'divorced'), ('В', 'widowed'), ('0', 'unknown')),
citizens(k, v) AS (
    VALUES ('кыргызстан', 'KGZ'), ('россия', 'RUS'), ('казахстан', 'KAZ'), ('өзбекстан', 'UZB'), ('узбекистан', 'UZB'), ('таджикистан', 'TJK')
),
districts(k, v) AS (SELECT 'Р-' || lpad(n::VARCHAR, 2, '0'), '417' || lpad(n::VARCHAR, 2, '0') || '000' FROM range(1, 61) AS r(n)),
cleaned AS (
    SELECT
        id,
        replace(replace(pin, '-', ''), ' ', '') AS pin,
        upper(surname[1]) || lower(surname[2:]) AS surname,
        split_part(given, ' ', 1) AS g,
        nullif(split_part(given, ' ', 2), '') AS f,
        strftime(try_strptime(birth_date, ['%d.%m.%Y', '%Y-%m-%d', '%d/%m/%Y']), '%Y-%m-%d') AS birth_date,
        sex, marital, lower(citizenship) AS citizenship, district,
        replace(replace(replace(replace(replace(upper(document), '№', ''), ' ', ''), '-', ''), 'А', 'A'), 'Н', 'H') AS document,
        regexp_extract(
            address,
            '^(?:[Гг]\.|[Гг]ор\.|[Сс]\.) *([^,]+), *ул\. *([^,0-9]+?) *(?:, *д\. *)?([0-9]+[а-яА-Я]?)(?:(?:, кв\. |-)([0-9]+))?$',
            ['locality', 'street', 'house', 'flat']
        ) AS ru,
        CASE WHEN (ru).locality = '' THEN regexp_extract(
            address,
            '^(.+?)(?: ш\.| айылы),? *(.+?)(?: көч\.| көчөсү),? *([0-9]+[а-яА-Я]?)(?:-үй)?(?:, *([0-9]+)(?:-батир|-бат\.))?$',
            ['locality', 'street', 'house', 'flat']
        ) ELSE ru END AS a,
        updated_at[1:10] AS updated_at
    FROM register
),
joined AS (
    SELECT
        id,
        CASE WHEN regexp_full_match(pin, '[12][0-9]{13}') AND try_strptime(pin[2:9], '%d%m%Y') IS NOT NULL THEN pin END AS pin,
        surname,
        upper(g[1]) || lower(g[2:]) AS given_name,
        upper(f[1]) || lower(f[2:]) AS patronymic,
        birth_date,
        sexes.v AS sex, maritals.v AS marital, citizens.v AS citizenship, districts.v AS district,
        CASE WHEN regexp_full_match(document, '[A-Z]{2}[0-9]{7}') THEN document END AS document,
        nullif((a).locality, '') AS locality,
        nullif((a).street, '') AS street,
        nullif(upper((a).house), '') AS house,
        nullif((a).flat, '') AS flat,
        updated_at,
        CASE WHEN maritals.v IS NULL THEN 1 ELSE 0 END + CASE WHEN districts.v IS NULL THEN 2 ELSE 0 END
            + CASE WHEN birth_date IS NULL THEN 4 ELSE 0 END + CASE WHEN sexes.v IS NULL THEN 8 ELSE 0 END
            + CASE WHEN citizens.v IS NULL THEN 16 ELSE 0 END AS mask
    FROM cleaned
    LEFT JOIN sexes ON sexes.k = sex
    LEFT JOIN maritals ON maritals.k = marital
    LEFT JOIN citizens ON citizens.k = citizenship
    LEFT JOIN districts ON districts.k = district
)
SELECT
    id, pin, surname, given_name, patronymic,
    replace(replace(replace(replace(replace(
        lower(concat_ws(' ', surname, given_name, patronymic)), 'ё', 'е'), 'й', 'и'), 'ө', 'о'), 'ү', 'у'), 'ң', 'н') AS name_key,
    birth_date, sex, marital, citizenship, district, document, locality, street, house, flat, updated_at,
    mask,
    CASE
        WHEN mask & 2 > 0 THEN 'quarantined'
        WHEN mask > 0 OR pin IS NULL OR document IS NULL OR locality IS NULL OR updated_at IS NULL THEN 'flagged'
        ELSE 'ok'
    END AS verdict
FROM joined
