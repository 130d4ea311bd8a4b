<resource schema="gaiadr3">
  <meta name="title">Simulated stars under the names of gaia_source</meta>
  <meta name="description">Stars drawn by viamachinae for its own tests.</meta>
  <meta name="creationDate">2026-11-23T00:00:00Z</meta>
  <meta name="creator">viamachinae</meta>
  <meta name="subject">surveys</meta>
  <table id="gaia_source" onDisk="True" adql="True" primary="source_id">
    <column name="source_id" type="bigint" required="True" ucd="meta.id;meta.main"/>
    <column name="ra" type="double precision" unit="deg" ucd="pos.eq.ra;meta.main"/>
    <column name="dec" type="double precision" unit="deg" ucd="pos.eq.dec;meta.main"/>
    <column name="parallax" type="double precision" unit="mas" ucd="pos.parallax"/>
    <column name="parallax_error" type="real" unit="mas" ucd="stat.error;pos.parallax"/>
    <column name="pmra" type="double precision" unit="mas/yr" ucd="pos.pm;pos.eq.ra"/>
    <column name="pmra_error" type="real" unit="mas/yr" ucd="stat.error;pos.pm;pos.eq.ra"/>
    <column name="pmdec" type="double precision" unit="mas/yr" ucd="pos.pm;pos.eq.dec"/>
    <column name="pmdec_error" type="real" unit="mas/yr" ucd="stat.error;pos.pm;pos.eq.dec"/>
    <column name="phot_g_mean_mag" type="real" unit="mag" ucd="phot.mag;em.opt"/>
    <column name="bp_rp" type="real" unit="mag" ucd="phot.color;em.opt.B;em.opt.R"/>
    <column name="ruwe" type="real" ucd="stat.error"/>
  </table>
  <data id="import">
    <sources pattern="data/*.csv"/>
    <csvGrammar/>
    <make table="gaia_source"/>
  </data>
</resource>
